//! `sealift rbac`: the roles that a configuration needs on the API server, and nothing more.
//!
//! Here: reading and printing. Not here: what is needed (`crate::pipeline::rights`) and how it is
//! said to Kubernetes (`sealift_core::rights`).

use std::io::{self, Write};

use sealift_core::environment::go_bool;
use sealift_core::rights::Account;
use serde_json::{Value, json};

use super::options::{
    CycleOptions, GitOptions, OutputFormat, OutputOptions, RegistryOptions, SourceOptions,
};
use super::peer::{KubeEventOptions, MetricsOptions};
use crate::cluster::Namespaces;
use crate::cluster::lease::LEASE_NAME;
use crate::engine::{Engine, Mode, Options};
use crate::exit::Exit;
use crate::output::{BAD, escape, ignore_closed_pipe, json_document};
use crate::pipeline::report::Report;

/// Arguments of `rbac`: those of `run` that rights depend on.
#[derive(Debug, clap::Args)]
pub struct RbacArguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    git: GitOptions,
    #[command(flatten)]
    cycle: CycleOptions,
    /// As for `run`: whether there is a lease to hold. Without `--state-dir` one is needed anyway
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    leader_election: bool,
    /// Namespace of the lease [default: that of the ServiceAccount]
    #[arg(long, value_name = "NAME")]
    leader_election_namespace: Option<String>,
    /// As for `run`: decide and record, and write nothing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set,
          value_name = "BOOL")]
    dry_run: bool,
    /// As for `run`: beside another that writes
    #[arg(long, conflicts_with = "dry_run")]
    shadow: bool,
    #[command(flatten)]
    kube_events: KubeEventOptions,
    #[command(flatten)]
    metrics: MetricsOptions,
    /// The ServiceAccount that gets the rights
    #[arg(
        long,
        value_name = "NAME",
        default_value = "argocd-image-updater-controller"
    )]
    service_account: String,
    /// Its namespace, which is the Pod's own [default: that of Argo CD]
    #[arg(long, value_name = "NAME")]
    service_account_namespace: Option<String>,
    /// `text` is YAML, `json` a List: `kubectl apply` takes either
    #[command(flatten)]
    output: OutputOptions,
}

/// Prints roles and bindings. Ends with 1 when an object could not be read, because what it needs
/// is missing then.
///
/// # Errors
/// The program cannot start, or objects cannot be read at all.
pub async fn run(arguments: RbacArguments) -> anyhow::Result<Exit> {
    let options = Options {
        source: &arguments.source,
        registry: &arguments.registry,
        git: &arguments.git,
        cycle: &arguments.cycle,
    };
    let engine = Engine::open(&options, Mode::LookOn)?;
    let named = arguments.service_account_namespace.clone();
    let own = named.unwrap_or_else(|| engine.argocd_namespace().to_owned());
    let watched = arguments.source.watch_namespaces.as_deref();
    let namespaces = Namespaces::parse(watched.unwrap_or_default(), &own);
    let (mut rights, report) = engine.rights(&namespaces).await?;
    rights.writes = !arguments.dry_run && !arguments.shadow;
    rights.events = rights.writes && !arguments.kube_events.are_off();
    // Without a state folder open intents stand on the lease, election or not. A shadow has none.
    let keeps = rights.writes && options.cycle.state_dir().is_none();
    if !arguments.shadow && (arguments.leader_election || keeps) {
        let named = arguments.leader_election_namespace.clone();
        let namespace = named.filter(|name| !name.is_empty());
        rights.lease = Some((
            namespace.unwrap_or_else(|| own.clone()),
            LEASE_NAME.to_owned(),
        ));
    }
    rights.reviews = arguments.metrics.are_reviewed()?;
    let account = Account {
        namespace: own,
        name: arguments.service_account,
    };
    let objects = rights.objects(&account);
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
            json_document(&mut out, &list)
        }
        OutputFormat::Text => yaml(&mut out, &objects),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    conclude(&report)
}

fn yaml(out: &mut impl Write, objects: &[Value]) -> io::Result<()> {
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            writeln!(out, "---")?;
        }
        let text = serde_saphyr::to_string(object).map_err(io::Error::other)?;
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn conclude(report: &Report) -> anyhow::Result<Exit> {
    let mut err = anstream::stderr();
    for problem in &report.problems {
        let (subject, detail) = (escape(&problem.subject), escape(&problem.cause.detail));
        writeln!(
            err,
            "{BAD}error:{BAD:#} {subject}: {detail}; its rights are not among those printed"
        )?;
    }
    Ok(match report.problems.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}
