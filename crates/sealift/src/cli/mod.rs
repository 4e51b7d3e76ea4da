//! The command line: one file a command. Data goes to standard output, logs to standard error.

pub mod completion;
pub mod convert;
pub mod doctor;
pub mod events;
mod events_world;
pub mod explain;
mod image;
pub mod options;
pub mod peer;
pub mod plan;
pub mod policy;
pub mod rbac;
pub mod run;
pub mod template;
pub mod test;
pub mod verify;
pub mod version;

use std::io::Write as _;

use clap::{Parser, Subcommand, ValueEnum};

use crate::exit::Exit;

/// Options of every command stand behind those of the one.
const LAST: usize = 1000;

/// Sealift lifts only sealed images into Git.
///
/// It follows Argo CD Applications, chooses new image tags, proves them, and writes them to Git,
/// with an event for everything it considered.
#[derive(Debug, Parser)]
#[command(
    name = "sealift",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub struct Cli {
    /// How much is logged to standard error [default: `warn`, and `info` where `run` goes on]
    #[arg(
        long,
        global = true,
        display_order = LAST,
        env = "IMAGE_UPDATER_LOGLEVEL",
        ignore_case = true
    )]
    pub loglevel: Option<LogLevel>,
    /// Form of the log
    #[arg(
        long,
        global = true,
        display_order = LAST,
        env = "IMAGE_UPDATER_LOGFORMAT",
        default_value = "text"
    )]
    pub logformat: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// Log levels, from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What developers want.
    Debug,
    /// What operators want.
    Info,
    /// What needs a look.
    Warn,
    /// What failed.
    Error,
}

/// Forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// JSON lines.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cycles: decide, prove, record, push
    Run(Box<run::RunArguments>),
    /// Print what `run --once` would push, as a diff
    Plan(Box<plan::PlanArguments>),
    /// Say why: every tag, what dropped it, what won, what would change
    Explain(Box<explain::ExplainArguments>),
    /// Say what would be chosen for one image; no Application is needed
    Test(Box<test::TestArguments>),
    /// Say whether an image satisfies policies, clause by clause
    Verify(Box<verify::VerifyArguments>),
    /// Check policies, and say what they stand for
    Policy(policy::PolicyArguments),
    /// Read and check the journal
    Events(events::EventsArguments),
    /// Turn annotations into ImageUpdaters, or back
    Convert(convert::ConvertArguments),
    /// Render a commit message template
    Template(template::TemplateArguments),
    /// Say what would not work and what is weaker than it looks, each with the way to mend it
    Doctor(Box<doctor::DoctorArguments>),
    /// Print the roles that a configuration needs in a cluster, and nothing more
    Rbac(Box<rbac::RbacArguments>),
    /// Lay out a small world and run on it
    Demo(crate::demo::DemoArguments),
    /// Print the completion script of a shell
    Completion(completion::CompletionArguments),
    /// Print version and build
    Version(version::VersionArguments),
    /// Not available
    #[command(hide = true)]
    Webhook(peer::WebhookArguments),
}

impl Cli {
    /// How much is logged: the controller says what it does, as Argo CD Image Updater does.
    #[must_use]
    pub fn loglevel(&self) -> LogLevel {
        let unasked = match &self.command {
            Command::Run(arguments) if arguments.goes_on() => LogLevel::Info,
            _ => LogLevel::Warn,
        };
        self.loglevel.unwrap_or(unasked)
    }
}

/// Runs the command, prints an error that ended it, and says how the program ends.
pub fn main(cli: Cli) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let result = runtime.block_on(run(cli));
        // A blocking read of standard input must not keep the process alive.
        runtime.shutdown_background();
        result
    });
    result.unwrap_or_else(|error| {
        let _ = writeln!(anstream::stderr(), "error: {error:#}");
        Exit::Failed
    })
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(arguments) => run::run(*arguments).await,
        Command::Plan(arguments) => plan::run(*arguments).await,
        Command::Explain(arguments) => explain::run(*arguments).await,
        Command::Test(arguments) => test::run(*arguments).await,
        Command::Verify(arguments) => verify::run(*arguments).await,
        Command::Policy(arguments) => policy::run(arguments).await,
        Command::Events(arguments) => events_world::run(&arguments),
        Command::Convert(arguments) => convert::run(arguments).await,
        Command::Template(arguments) => template::run(&arguments),
        Command::Doctor(arguments) => doctor::run(*arguments).await,
        Command::Rbac(arguments) => rbac::run(*arguments).await,
        Command::Demo(arguments) => crate::demo::run(arguments).await,
        Command::Completion(arguments) => completion::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
        Command::Webhook(arguments) => peer::webhook(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
