//! The command line: one file for each command, errors in words, exit codes.

mod asked;
mod bench;
mod compare;
mod datasets;
mod devices;
mod generate;
mod init;
mod inspect;
mod models;
mod plan;
mod quickstart;
mod report;
mod run;
mod score;
mod serve;
mod shell;
mod sources;
mod train;
mod tune;

use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Parser, Subcommand, ValueEnum};

use crate::checkpoint::Checkpoint;
use crate::config::{Config, find};
use crate::device::Wanted;
use crate::encoding::{EncodingSpec, KINDS, ModelRope};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::{self, Name};
use crate::kernels::{Bf16Instructions, Precision};
use crate::messages::{Format, Level};
use crate::registry::Kind;
use crate::task::TASKS;
use crate::terminal::visible;
use crate::{device, interrupt, memory, messages};
use longcode_base::guard;

/// Version, commit, and what it was built with, for reports of faults.
#[cfg(feature = "wgpu")]
const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("LONGCODE_COMMIT"), ", feature wgpu)");
#[cfg(not(feature = "wgpu"))]
const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("LONGCODE_COMMIT"), ", without wgpu)");

/// What a code language model does beyond its training length, under each position encoding.
#[derive(Debug, Parser)]
#[command(name = "longcode", version = VERSION, about, max_term_width = 120)]
#[command(after_help = "Example:\n  longcode quickstart")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    messages: Messages,
}

/// What is said on stderr, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Messages, on stderr")]
struct Messages {
    /// Notes and errors alone: no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Also what each step does and takes
    #[arg(short, long, global = true)]
    verbose: bool,
    /// `text`, or `json`: an object on each line, with `level` (detail, status, note, error) and `message`
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

/// The format of messages.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Messages {
    fn configure(&self) {
        let least = match (self.quiet, self.verbose) {
            (true, _) => Level::Note,
            (_, true) => Level::Detail,
            _ => Level::Status,
        };
        let format = match self.log_format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        };
        messages::configure(least, format);
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Args),
    Init(init::Args),
    Run(run::Args),
    Plan(plan::Args),
    Report(report::Args),
    Compare(compare::Args),
    Score(score::Args),
    Serve(serve::Args),
    Generate(generate::Args),
    Inspect(inspect::Args),
    Bench(bench::Args),
    Train(train::Args),
    Tune(tune::Args),
    Devices(devices::Args),
    Datasets(datasets::Args),
    Models(models::Args),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// The model of `--model`: a path, or a name on the hub, fetched if requested.
fn find_model(given: &Path, download: bool) -> Result<PathBuf> {
    let name = given.to_str().filter(|_| !given.exists()).and_then(Name::model);
    match name {
        Some(name) => {
            if download {
                hub::fetch(&name)?;
            }
            name.cached()
        }
        None if download => Err(Error::new(ErrorKind::Usage, "there is nothing to download")
            .at("--download")
            .fix("leave it out, or give --model org/name")),
        None => Ok(given.to_path_buf()),
    }
}

/// Opens the model of `--model`, with its notes on stderr.
fn open_model(given: &Path, download: bool) -> Result<Checkpoint> {
    let path = find_model(given, download)?;
    let checkpoint = Checkpoint::open(&path)?;
    checkpoint.notes().for_each(|note| note!("{}: {note}", given.display()));
    Ok(checkpoint)
}

/// What a device must be able to do for `auto` to take it for a model. Weights that cannot be sized are
/// refused when they are loaded.
fn wanted(checkpoint: &Checkpoint, precision: Precision) -> Wanted {
    let weights = checkpoint.bytes_on_gpu(precision).unwrap_or(0.0);
    Wanted { precisions: vec![precision], weights }
}

/// The same for the models of a config, of which a device holds one at a time. A model that cannot be opened
/// is refused later.
fn wanted_by(config: &Config) -> Wanted {
    let models = config.models.iter().filter_map(|entry| {
        let checkpoint = Checkpoint::open(&config.find_model(entry).ok()?).ok()?;
        Some(wanted(&checkpoint, entry.precision))
    });
    models.fold(Wanted::default(), |mut all, one| {
        all.precisions.extend(one.precisions);
        all.weights = all.weights.max(one.weights);
        all
    })
}

/// An encoding as it is for a model; one that makes no sense is refused, and what is unwise about it is said on stderr.
fn for_model(encoding: &EncodingSpec, text: &str, model: &ModelRope) -> Result<EncodingSpec> {
    let at_encoding = |e: Error| e.at(format_args!("encoding `{text}`"));
    let as_given = |path: &Path| find(&path.to_string_lossy(), &[PathBuf::from(".")]);
    let encoding = encoding.clone().opened(&as_given).map_err(at_encoding)?;
    let encoding = encoding.at(model.trained_length).map_err(at_encoding)?;
    encoding.check(model).map_err(at_encoding)?;
    for note in encoding.notes(model) {
        note!("encoding `{text}`: {note}");
    }
    Ok(encoding)
}

/// Parses the command line, runs the command, and reports what went wrong.
pub fn main() -> ExitCode {
    device::quiet_mesa();
    memory::keep_freed();
    memory::report_aborts();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return clap_exit(&e),
    };
    cli.messages.configure();
    panic::set_hook(Box::new(remember_panic));
    let done = panic::catch_unwind(|| {
        memory::refuse_little()?;
        interrupt::handle()?;
        Bf16Instructions::checked()?;
        cli.command.execute()
    });
    match done.unwrap_or_else(|_| Err(panicked())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            messages::fail(&e);
            ExitCode::from(e.kind.exit_code())
        }
    }
}

impl Command {
    fn execute(self) -> Result<()> {
        match self {
            Command::Quickstart(args) => args.execute(),
            Command::Init(args) => args.execute(),
            Command::Run(args) => args.execute(),
            Command::Plan(args) => args.execute(),
            Command::Report(args) => args.execute(),
            Command::Compare(args) => args.execute(),
            Command::Score(args) => args.execute(),
            Command::Serve(args) => args.execute(),
            Command::Generate(args) => args.execute(),
            Command::Inspect(args) => args.execute(),
            Command::Bench(args) => args.execute(),
            Command::Train(args) => args.execute(),
            Command::Tune(args) => args.execute(),
            Command::Devices(args) => args.execute(),
            Command::Datasets(args) => args.execute(),
            Command::Models(args) => args.execute(),
            Command::Completions(args) => args.execute(),
            Command::Man(args) => args.execute(),
        }
    }
}

/// Help and version go to stdout; a wrong command line is reported like every other error.
fn clap_exit(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // The commands that there are.
        let _ = error.print();
    }
    let error = usage_error(error);
    messages::fail(&error);
    ExitCode::from(error.kind.exit_code())
}

/// clap's paragraphs: what happened, tips, the usage, and where to read more.
fn usage_error(error: &clap::Error) -> Error {
    let text = error.to_string();
    let paragraphs: Vec<String> =
        text.split("\n\n").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let starting = |start: &str| paragraphs.iter().find_map(|text| text.strip_prefix(start));
    let what = match error.kind() {
        // The text is the whole help.
        clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command",
        _ => paragraphs[0].trim_start_matches("error: "),
    };
    let place = match error.get(clap::error::ContextKind::InvalidArg) {
        Some(clap::error::ContextValue::String(argument)) => format!("command line: {argument}"),
        _ => "command line".into(),
    };
    let fix: Vec<&str> =
        [starting("tip: "), starting("Usage: "), Some("see --help")].into_iter().flatten().collect();
    Error::new(ErrorKind::Usage, what).at(place).fix(fix.join("; "))
}

/// What a panic said, on whichever thread.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

fn remember_panic(info: &PanicHookInfo<'_>) {
    if guard::is_expected() {
        return;
    }
    let said = info.payload_as_str().unwrap_or("no message");
    let at = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
    // The first panic is the cause; a second one mostly complains about it.
    if let Ok(mut panic) = PANIC.lock() {
        panic.get_or_insert_with(|| format!("{said}{at}"));
    }
}

/// The error of a library's panic, most often a device that failed or ran out of memory.
fn panicked() -> Error {
    let said = PANIC.lock().ok().and_then(|mut panic| panic.take()).unwrap_or_default();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    device::known(&said).unwrap_or_else(|| {
        Error::new(ErrorKind::Compute, format!("internal error: {said}"))
            .fix("try a shorter input or --device cpu; if it stays, report it with this message")
    })
}

/// The kinds of encodings, for the help of commands that take one.
fn kinds_help(example: &str) -> String {
    let mut help =
        format!("Examples:\n{example}\n\nEncodings (L0 is the model's trained length, L the sequence's):\n");
    help.push_str(&listing(KINDS));
    help.push_str(
        "Every kind also takes\n  base            the model's rope_theta when not given\n  context, stride never \
         more than the last tokens are read (0: all), in windows that begin every stride (context/4)\n  \
         full_attention  true lifts a model's own sliding window\n  layers          the layers that it replaces: full \
         (those that see everything), all, or 0/4/8\n  temperature     beta: logits of query i times 1 + \
         beta ln(1 + floor(i / L0)); not with logn\nKeys that count tokens may be relative to L0: context=trained, \
         window=1/4.\n",
    );
    help
}

/// The kinds of tasks, for the help of the command that runs them.
fn tasks_help() -> String {
    format!("\nTasks (a key without a default must be given, or does nothing):\n{}", listing(TASKS))
}

/// Every kind of a registry with its keys.
fn listing<T: ?Sized>(kinds: &[Kind<T>]) -> String {
    let width = kinds.iter().map(|kind| kind.name.len()).max().unwrap_or(0);
    let mut listing = String::new();
    for kind in kinds {
        listing.push_str(&format!("  {:<width$}  {}\n", kind.name, kind.about));
        if !kind.keys.is_empty() {
            listing.push_str(&format!("  {:<width$}  {}\n", "", kind.keys));
        }
    }
    listing
}

/// Prints to stdout, with everything made visible that a terminal would obey.
fn print(text: &str) -> Result<()> {
    print_as_it_is(&visible(text))
}

/// Prints to stdout, and ends quietly when nobody reads any more (`longcode ... | head`).
#[expect(clippy::exit, reason = "whoever closed the pipe has read all they wanted")]
fn print_as_it_is(text: &str) -> Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Error::new(ErrorKind::Write, format!("cannot write to stdout: {e}"))),
        Ok(()) => Ok(()),
    }
}
