//! A file's bytes on their way into the cache: continued from where an earlier fetch stopped, and not one
//! more than the hub said.

use std::fs::File;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use super::client::{Answer, Failure, broken};
use super::layout::{Place, unwritable};
use super::remote::Hub;
use longcode_base::error::Result;
use longcode_base::files::append;
use longcode_base::note;
use longcode_base::progress::Progress;

/// How often a file is requested again after the connection broke.
const RETRIES: u32 = 2;

/// A file's content on its way.
pub(super) struct Content<'a> {
    pub hub: &'a Hub<'a>,
    /// Its path on the hub.
    pub path: &'a str,
    /// Its size.
    pub bytes: u64,
    /// Where it is stored.
    pub place: &'a Place,
}

impl Content<'_> {
    /// Fetches what is missing, and retries if the connection breaks.
    ///
    /// # Errors
    /// As [`super::fetch`]; what arrived is kept.
    pub(crate) fn fetch(&self) -> Result<()> {
        let mut file = append(&self.place.partial)?;
        let mut progress = Progress::new(self.bytes, "B");
        let mut tries = 0;
        loop {
            match self.receive(&mut file, &mut progress) {
                Ok(()) => return Ok(()),
                Err(Failure::Connection(_)) if tries < RETRIES => {
                    tries += 1;
                    thread::sleep(Duration::from_millis(300 << tries));
                }
                Err(Failure::Disk(e)) => return Err(unwritable(&e, &self.place.partial)),
                Err(failure) => return Err(self.hub.error(failure)),
            }
        }
    }

    fn receive(&self, file: &mut File, progress: &mut Progress) -> std::result::Result<(), Failure> {
        let mut have = file.metadata().map_err(Failure::Disk)?.len();
        if have > self.bytes {
            note!("{}: has more than the file, and is fetched again", self.place.partial.display());
            file.set_len(0).map_err(Failure::Disk)?;
            have = 0;
        }
        if have == self.bytes {
            return Ok(());
        }
        let answer = self.hub.client.from(self.path, have)?;
        if answer.info.bytes.is_some_and(|bytes| bytes != self.bytes) {
            return Err(Failure::Nonsense("the file has another size than the hub said".into()));
        }
        match answer.start {
            start if start == have => {}
            // It does not continue in the middle.
            0 => file.set_len(0).map_err(Failure::Disk)?,
            start => return Err(Failure::Nonsense(format!("asked for byte {have}, it sends byte {start}"))),
        }
        progress.set(answer.start);
        self.take(answer, file, progress)
    }

    fn take(
        &self,
        mut answer: Answer,
        file: &mut File,
        progress: &mut Progress,
    ) -> std::result::Result<(), Failure> {
        let mut left = self.bytes - answer.start;
        let mut piece = vec![0; 1 << 16];
        loop {
            match answer.body.read(&mut piece).map_err(|e| broken(&e))? {
                0 if left == 0 => return Ok(()),
                0 => return Err(Failure::Connection(format!("it ended {left} bytes early"))),
                read if read as u64 > left => {
                    return Err(Failure::Nonsense(format!(
                        "the file does not end after {} bytes",
                        self.bytes
                    )));
                }
                read => {
                    file.write_all(&piece[..read]).map_err(Failure::Disk)?;
                    left -= read as u64;
                    progress.advance(read as u64);
                }
            }
        }
    }
}
