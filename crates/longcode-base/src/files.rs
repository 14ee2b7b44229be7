//! Files: reading, writing whole, appending and locking, and what is said when that fails.
//!
//! Two rules hold for every command, so nothing else opens files directly. Only regular files are read: a
//! FIFO or a device would wait or never end. And nothing is written through a link: a results directory may
//! come from a stranger, and a link in it could lead anywhere. What the user names, as by `--out`, may be a
//! link.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Prefix and suffix of a file's name until it is whole, with 32 random digits between the two.
const UNFINISHED: (&str, &str) = (".longcode-", ".new");

/// Reads a whole UTF-8 file, or says what is wrong with it.
///
/// # Errors
/// `kind`, naming the file, when it cannot be read or is not UTF-8 (with the offending byte's offset).
pub fn read_text(path: &Path, kind: ErrorKind) -> Result<String> {
    String::from_utf8(read_bytes(path, kind)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::new(kind, format!("not valid UTF-8 at byte {at}"))
            .in_file(path)
            .fix("convert the file to UTF-8")
    })
}

/// Reads a whole file, up to the number of bytes that such a file may have.
///
/// # Errors
/// `kind`, naming the file, when it cannot be read, is not a regular file or is too large.
pub fn read_bytes(path: &Path, kind: ErrorKind) -> Result<Vec<u8>> {
    read_at_most(path, largest(path, kind), kind)
}

/// The same up to a number of bytes.
///
/// # Errors
/// As [`read_bytes`].
pub fn read_at_most(path: &Path, most: u64, kind: ErrorKind) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let from_shell = matches!(kind, ErrorKind::Source | ErrorKind::Config) && is_from_shell(path);
    let file = if from_shell { File::open(path) } else { open(path) };
    let read = file.and_then(|file| {
        // A file known to be too large is not read first.
        if file.metadata()?.len() > most {
            return Ok(most + 1);
        }
        file.take(most + 1).read_to_end(&mut bytes).map(|read| read as u64)
    });
    match read {
        Ok(read) if read > most => Err(too_large(kind, most).in_file(path)),
        Ok(_) => Ok(bytes),
        Err(e) => Err(unreadable(path, kind, &e)),
    }
}

/// Opens a file for reading: a regular one, or a link to one.
///
/// # Errors
/// When it cannot be opened, or is something else, such as a directory, a FIFO or a device.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened, as a FIFO would wait and a device may act.
    refuse_irregular(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    refuse_irregular(&file.metadata()?)?;
    Ok(file)
}

/// The error of a file that cannot be read.
pub fn unreadable(path: &Path, kind: ErrorKind, error: &io::Error) -> Error {
    let fix = match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => "give a regular file",
        _ => "check the path and its permissions",
    };
    Error::new(kind, format!("cannot read the file: {error}")).in_file(path).fix(fix)
}

/// The error of a file with more bytes than such a file may have.
pub fn too_large(kind: ErrorKind, most: u64) -> Error {
    Error::new(kind, format!("the file has more than the {most} bytes that one of its kind may have"))
        .fix("check that it is the file that it should be; SECURITY.md lists the limits")
}

fn refuse_irregular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() { "a directory" } else { special(kind) };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, no regular file")))
}

#[cfg(unix)]
fn special(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match () {
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    }
}

#[cfg(not(unix))]
fn special(_: fs::FileType) -> &'static str {
    "something else"
}

/// Whether a path comes from a shell: standard input, or the `/dev/fd/63` of `<(command)`.
fn is_from_shell(path: &Path) -> bool {
    let number = |rest: &Path| rest.to_str().is_some_and(|rest| rest.parse::<u32>().is_ok());
    path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"].iter().any(|dir| path.strip_prefix(dir).is_ok_and(number))
}

/// Bytes of the largest file that is read whole.
fn largest(path: &Path, kind: ErrorKind) -> u64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match kind {
        ErrorKind::Model | ErrorKind::Tokenizer => largest_of_model(&name).unwrap_or(match kind {
            ErrorKind::Model => limits::MODEL_CONFIG_BYTES,
            // A tokenizer given by its own file may have any name.
            _ => limits::TOKENIZER_BYTES,
        }),
        ErrorKind::Dataset if !name.ends_with(".toml") => limits::SOURCE_BYTES,
        ErrorKind::Source => limits::SOURCE_BYTES,
        ErrorKind::Results | ErrorKind::Write => limits::RESULTS_BYTES,
        _ => limits::CONFIG_BYTES,
    }
}

/// Bytes of the largest file of a checkpoint, by its name; none for files that are not read whole.
pub fn largest_of_model(name: &str) -> Option<u64> {
    match name {
        "config.json" | "generation_config.json" => Some(limits::MODEL_CONFIG_BYTES),
        "tokenizer_config.json" | "chat_template.jinja" => Some(limits::TOKENIZER_CONFIG_BYTES),
        "tokenizer.json" => Some(limits::TOKENIZER_BYTES),
        name if name.ends_with(".index.json") => Some(limits::INDEX_BYTES),
        _ => None,
    }
}

/// Writes a file whole or not at all: under another name first, then moved into place. It replaces a link.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole_by(path, |file| file.write_all(bytes))
}

/// The same with a file that is written piece by piece; `fill` may be called twice.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn write_whole_by(path: &Path, fill: impl Fn(&mut File) -> io::Result<()>) -> Result<()> {
    let write = || {
        let mut beside = Beside::new(path.parent().unwrap_or(Path::new("")))?;
        fill(&mut beside.file)?;
        beside.move_to(path)
    };
    // Between its creation and its lock another process may have taken it for left over.
    let written = write().or_else(|e| if e.kind() == io::ErrorKind::NotFound { write() } else { Err(e) });
    written.map_err(|e| unwritable(path, &e))
}

/// A new, locked file under a name that nobody can predict, which is removed unless it is moved into place.
struct Beside {
    file: File,
    path: PathBuf,
}

impl Beside {
    fn new(dir: &Path) -> io::Result<Beside> {
        let path = dir.join(unfinished_name());
        let file = create_new(&path)?;
        // Without locks nothing is taken for left over either.
        let _ = file.try_lock();
        Ok(Beside { file, path })
    }

    fn move_to(self, path: &Path) -> io::Result<()> {
        // If it succeeds, nothing is left to remove under the old name.
        fs::rename(&self.path, path)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.path.symlink_metadata().is_ok() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A name for an unfinished file, which nobody can predict.
pub fn unfinished_name() -> String {
    format!("{}{:032x}{}", UNFINISHED.0, rand::random::<u128>(), UNFINISHED.1)
}

/// Makes a file; an existing file or link is an error.
pub fn create_new(path: &Path) -> io::Result<File> {
    no_follow(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Opens a file for appending and reading, and makes it if it does not exist.
///
/// # Errors
/// [`ErrorKind::Write`] if it cannot be opened, is a link or not a regular file, or has other names.
pub fn append(path: &Path) -> Result<File> {
    if let Ok(metadata) = path.symlink_metadata() {
        refuse_link(path, &metadata)?;
    }
    let opened = no_follow(OpenOptions::new().read(true).append(true).create(true)).open(path);
    let checked = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = checked.map_err(|e| unwritable(path, &e))?;
    refuse_link(path, &metadata)?;
    Ok(file)
}

/// Refuses to write to a path that would change a file elsewhere, or is not a file.
fn refuse_link(path: &Path, metadata: &Metadata) -> Result<()> {
    let what = if metadata.is_symlink() {
        "it is a link, and nothing is written through a link".to_string()
    } else if let Err(e) = refuse_irregular(metadata) {
        e.to_string()
    } else if names(metadata) > 1 {
        "the file has other names (hard links), which would change as well".to_string()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Write, what)
        .in_file(path)
        .fix("put a copy of the file in its place or remove it, or give another --out"))
}

#[cfg(unix)]
fn names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}

/// Neither follows a link at the end of a path nor waits for the other end of a FIFO.
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// The error of a file that cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Write, format!("cannot write: {error}")).in_file(path).fix(
        "make room or change the permissions, then run the same command again (`train`: with --resume): what was \
         finished is kept",
    )
}

/// Locks a directory by one of its files, until the file is closed.
///
/// # Errors
/// [`ErrorKind::Results`] when another process has it locked.
pub fn lock(file: &File, dir: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Results, "another run writes to this directory")
                .in_file(dir)
                .fix("wait for it, or give another --out"))
        }
        // A file system without locks: then it is up to the user to run one at a time.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Makes a directory that the user named, with its parents; an existing link to one stays. Removes what a
/// kill left unfinished in it.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| no_directory(path, &e.to_string()))?;
    remove_unfinished(path);
    Ok(())
}

/// Makes a directory inside an existing one, with those between; none of them may be a link.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn make_directory_inside(dir: &Path, inside: &Path) -> Result<PathBuf> {
    let mut path = dir.to_path_buf();
    for part in inside.components() {
        path.push(part);
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => refuse_no_directory(&path)?,
            Err(e) => return Err(no_directory(&path, &e.to_string())),
        }
    }
    remove_unfinished(&path);
    Ok(path)
}

/// Refuses an existing path that is not itself a directory, such as a link to one.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn refuse_no_directory(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(metadata) if metadata.is_symlink() => {
            Err(no_directory(path, "it is a link, and nothing is written through a link"))
        }
        Ok(_) => Err(no_directory(path, "a file is in its place")),
        Err(e) => Err(no_directory(path, &e.to_string())),
    }
}

fn no_directory(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Write, format!("cannot write: the directory cannot be made: {why}"))
        .in_file(path)
        .fix("make room, change the permissions, remove what is in its place, or give another --out")
}

/// Removes what a killed process left unfinished; a process that still writes has its file locked. What
/// cannot be removed only takes space.
fn remove_unfinished(dir: &Path) {
    let is_ours = |name: &str| {
        let digits = name.strip_prefix(UNFINISHED.0).and_then(|rest| rest.strip_suffix(UNFINISHED.1));
        digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(is_ours) {
            continue;
        }
        let file = no_follow(OpenOptions::new().read(true)).open(entry.path());
        if file.is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_goes_and_what_is_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let left = dir.join(unfinished_name());
        fs::write(&left, "half").unwrap();
        fs::write(dir.join(".longcode-1.new"), "the user's own").unwrap();
        let busy = Beside::new(dir).unwrap();
        make_directory(dir).unwrap();
        assert!(!left.exists() && busy.path.exists() && dir.join(".longcode-1.new").exists());
        drop(busy);
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
        write_whole(&dir.join("a"), b"1").unwrap();
        write_whole(&dir.join("a"), b"2").unwrap();
        assert_eq!(
            (fs::read(dir.join("a")).unwrap(), fs::read_dir(dir).unwrap().count()),
            (b"2".to_vec(), 2)
        );
        assert_eq!(write_whole(&dir.join("no/a"), b"1").unwrap_err().kind, ErrorKind::Write);
    }

    #[test]
    fn a_file_beyond_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        File::create(&path).unwrap().set_len(limits::MODEL_CONFIG_BYTES + 1).unwrap();
        let error = read_text(&path, ErrorKind::Model).unwrap_err();
        assert!(error.what.contains("1048576 bytes") && error.place.unwrap().ends_with("config.json"));
        assert_eq!(
            read_bytes(&path, ErrorKind::Source).unwrap().len() as u64,
            limits::MODEL_CONFIG_BYTES + 1
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        make_fifo(&fifo);
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        let cases = [
            (&fifo, "a FIFO"),
            (&link, "a FIFO"),
            (&socket, "a socket"),
            (&PathBuf::from("/dev/zero"), "a device"),
            (&dir.path().to_path_buf(), "a directory"),
        ];
        for kind in [ErrorKind::Source, ErrorKind::Model, ErrorKind::Dataset, ErrorKind::Config] {
            for (path, what) in &cases {
                let error = read_bytes(path, kind).unwrap_err();
                assert!(error.what.contains(what), "{error}");
                assert_eq!(error.fix.as_deref(), Some("give a regular file"));
            }
        }
        assert!(append(&fifo).unwrap_err().what.contains("FIFO"));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        use std::os::unix::fs::symlink;
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = outside.path().join("file");
        fs::write(&target, "untouched").unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink(&target, at("link")).unwrap();
        symlink(outside.path().join("none"), at("dangling")).unwrap();
        symlink(outside.path(), at("folder")).unwrap();
        fs::hard_link(&target, at("hard")).unwrap();
        assert!(append(&at("link")).unwrap_err().what.contains("a link"));
        assert!(append(&at("dangling")).unwrap_err().what.contains("a link"));
        assert!(append(&at("hard")).unwrap_err().what.contains("other names"));
        assert!(create_new(&at("dangling")).is_err());
        for inside in ["folder", "folder/deeper", "link", "dangling"] {
            let error = make_directory_inside(dir.path(), Path::new(inside)).unwrap_err();
            assert!(error.what.contains("a link"), "{error}");
        }
        for name in ["link", "dangling", "hard"] {
            write_whole(&at(name), b"new").unwrap();
            assert_eq!(fs::read(at(name)).unwrap(), b"new");
        }
        assert_eq!(fs::read(&target).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        // What the user names may be a link.
        make_directory(&at("folder")).unwrap();
        make_directory_inside(&at("folder"), Path::new("a/b")).unwrap();
        assert!(outside.path().join("a/b").is_dir());
    }

    #[cfg(unix)]
    fn make_fifo(path: &Path) {
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the path ends in a zero byte.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }
}
