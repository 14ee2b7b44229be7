//! `longcode completions` and `longcode man`

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, print_as_it_is};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{make_directory, write_whole};

/// Print what makes a shell complete commands and options
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  longcode completions bash > ~/.local/share/bash-completion/completions/longcode\n  \
    longcode completions zsh > \"${fpath[1]}/_longcode\"\n  longcode completions fish > ~/.config/fish/completions/longcode.fish"
)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "longcode", &mut text);
        print_as_it_is(&String::from_utf8_lossy(&text))
    }
}

/// Write man pages, one for the program and one for each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  longcode man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The folder of section 1
    folder: PathBuf,
}

impl Man {
    pub(super) fn execute(self) -> Result<()> {
        make_directory(&self.folder)?;
        let mut program = Cli::command();
        program.build();
        let own = program.get_subcommands().filter(|command| command.get_name() != "help");
        let own = own.map(|command| (format!("longcode-{}", command.get_name()), command.clone()));
        for (name, command) in std::iter::once(("longcode".to_string(), program.clone())).chain(own) {
            let path = self.folder.join(format!("{name}.1"));
            let mut page = Vec::new();
            clap_mangen::Man::new(command).title(name).render(&mut page).map_err(|e| {
                Error::new(ErrorKind::Write, format!("cannot make the page: {e}")).in_file(&path)
            })?;
            write_whole(&path, &page)?;
        }
        Ok(())
    }
}
