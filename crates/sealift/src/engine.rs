//! Everything that lives longer than a cycle: state, journal, repositories, registries. Made once
//! from the options.

mod record;
mod telling;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use jiff::Timestamp;
use sealift_core::commit_message::DEFAULT_TEMPLATE;
use sealift_core::election::Timing;
use sealift_core::environment::Namespaces;
use sealift_core::event::{Body, Cause, IntentId, Notice};
use sealift_core::reason::Reason;
use sealift_core::reference::Canonical;
use sealift_core::rights::Rights;
use sealift_core::secret::Secret;
use sealift_core::template::Template;
use sealift_git::{GitSettings, Repositories, Signer};
use sealift_trust::Unverified;
use sealift_write::Author;

use crate::cli::options::{
    AnnotationsOption, CommitMethod, CommitPer, CycleOptions, GitOptions, RegistryOptions,
    SigningMethod, SourceOptions, UnverifiedOption, file_or_mounted,
};
use crate::cluster::Cluster;
use crate::cluster::intents::{Keeper, OpenIntents};
use crate::cluster::lease::{self, Candidacy, Leader};
use crate::cluster::status::StatusWriter;
use crate::journal::{Journal, OpenIntent};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::objects::source::ObjectSource;
use crate::pipeline::read::Kept;
use crate::pipeline::report::{Problem, Report};
use crate::pipeline::{self, CommitSettings, Context, Parts, examine};
use crate::policies::{InForce, Policies};
use crate::registries::Registries;
use crate::shadow::Shadow;
use crate::state::StateFolder;
use crate::trust_roots::{self, TrustRoots};

/// The options of a command that runs the pipeline.
pub struct Options<'a> {
    /// Where objects come from.
    pub source: &'a SourceOptions,
    /// Registries.
    pub registry: &'a RegistryOptions,
    /// Commits.
    pub git: &'a GitOptions,
    /// Trust, state, concurrency.
    pub cycle: &'a CycleOptions,
}

/// Whether the pipeline may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Decide, record, push.
    Write,
    /// Decide and record; push nothing.
    DryRun,
    /// As a dry run, beside another that writes: what it writes is compared.
    Shadow,
    /// Decide for somebody who looks on: no record, and a state folder of its own where the real
    /// one is in use.
    LookOn,
}

/// The Applications (`namespace/name`) that a cycle looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'a> {
    /// These, and those that are written to the same files. `None`: all.
    pub among: Option<&'a BTreeSet<String>>,
    /// Of all, not these, whose last answers count on.
    pub not_due: Option<&'a BTreeSet<String>>,
}

/// Where the record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// To the state folder.
    Folder,
    /// To standard output, and open intents to the lease: what is on the disk may go at any time.
    Output,
}

/// What stands for this process on the lease, until it ends.
pub enum Standing {
    /// A candidate among other replicas.
    Elected(Candidacy),
    /// The only process, which keeps its open intents there.
    Alone(Keeper),
}

impl Standing {
    /// Who says whether we lead. `None`: there are no others.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        match self {
            Self::Elected(candidacy) => Some(candidacy.leader()),
            Self::Alone(_) => None,
        }
    }

    /// Leaves the lease as it should be found. Nothing is being written by now.
    pub async fn end(self) {
        match self {
            Self::Elected(candidacy) => candidacy.give_up().await,
            Self::Alone(keeper) => keeper.end().await,
        }
    }
}

/// The running program.
pub struct Engine {
    mode: Mode,
    source: ObjectSource,
    registries: Registries,
    git: Repositories,
    journal: Option<Journal>,
    /// Counters for operators.
    pub metrics: Arc<Metrics>,
    policies: Policies,
    commit: CommitSettings,
    argocd_namespace: String,
    annotations: AnnotationsOption,
    repositories_at_once: usize,
    leader: Option<Leader>,
    record: Record,
    /// Open intents on the lease.
    intents: Option<OpenIntents>,
    /// Those of other processes that were spoken of.
    taken_over: BTreeSet<IntentId>,
    statuses: StatusWriter,
    kube_events: bool,
    shadow: Option<Shadow>,
    only: Option<String>,
    thorough: bool,
    kept: Kept,
    spread: Option<u64>,
    unsettled: Vec<OpenIntent>,
    _state: StateFolder,
    _temporary: Option<tempfile::TempDir>,
}

impl Engine {
    /// Opens state, journal, repositories and registries.
    ///
    /// # Errors
    /// Something that every cycle needs cannot be used: the state folder, the registry
    /// configuration, the signing key, a template.
    pub fn open(options: &Options<'_>, mode: Mode) -> anyhow::Result<Self> {
        Self::open_recording(options, mode, Record::Folder)
    }

    /// The same, with the record elsewhere.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_recording(
        options: &Options<'_>,
        mode: Mode,
        record: Record,
    ) -> anyhow::Result<Self> {
        let (state, temporary) = record::open_state(options.cycle.state_dir(), mode, record)?;
        // The Deployment of Argo CD Image Updater mounts files where it names none.
        let in_cluster = options.source.filename.is_empty();
        let mounted = |path| in_cluster.then_some(path);
        let commit = commit_settings(options.git, mounted(MOUNTED_TEMPLATE))?;
        let unverified = match options.cycle.unverified {
            UnverifiedOption::Allow => Unverified::Allow,
            UnverifiedOption::Refuse => Unverified::Refuse,
        };
        let named = options.registry.registries_conf_path.as_deref();
        let registry = RegistryOptions {
            registries_conf_path: file_or_mounted(named, mounted(MOUNTED_REGISTRIES)),
        };
        let registries = Registries::open(&registry, &state)?;
        let expired = &options.cycle.trust.unsafe_expired_trust_root;
        let copies = state.subfolder(trust_roots::FOLDER)?;
        let roots = TrustRoots::open(registries.net(), copies, expired)?;
        let source = ObjectSource::new(options.source)?;
        let argocd_namespace = source.argocd_namespace().to_owned();
        let annotations = annotations(options.source, &source);
        let policies = Policies::new(unverified, &argocd_namespace, roots);
        let git = open_repositories(options.git, &state, &registries)?;
        let (journal, unsettled) = match mode {
            Mode::LookOn => (None, Vec::new()),
            Mode::Write | Mode::DryRun | Mode::Shadow => {
                let (journal, open) = record::open(options, record, &state, &registries)?;
                (Some(journal), open)
            }
        };
        let shadow = match mode {
            Mode::Shadow => Some(Shadow::open(&state)?),
            _ => None,
        };
        let metrics: Arc<Metrics> = Arc::default();
        metrics.peer.follow_registries(registries.net().clone());
        Ok(Self {
            mode,
            source,
            registries,
            git,
            journal,
            metrics,
            policies,
            commit,
            argocd_namespace,
            annotations,
            repositories_at_once: usize::from(options.cycle.applications_at_once()),
            leader: None,
            record,
            intents: None,
            taken_over: BTreeSet::new(),
            statuses: StatusWriter::default(),
            kube_events: true,
            shadow,
            only: None,
            thorough: false,
            kept: Kept::default(),
            spread: None,
            unsettled,
            _state: state,
            _temporary: temporary,
        })
    }

    /// Looks at one Application only, and in Git even where what runs is the winner.
    pub fn only(&mut self, application: &str) {
        self.only = Some(application.to_owned());
        self.thorough = true;
    }

    /// Looks at everything a cycle may need some day, writes nothing, and says what is wrong or
    /// weak besides what the cycle says.
    ///
    /// # Errors
    /// Objects cannot be read at all.
    pub async fn examine(&mut self) -> anyhow::Result<(Report, Vec<examine::Found>)> {
        self.thorough = true;
        let objects = self.source.read(&self.git).await?;
        let now = Timestamp::now();
        // Before the cycle: what was said of a policy once is not said again.
        let (in_force, remarks) = self.policies.read(objects.as_ref(), now).await?;
        let report = self.cycle().await?;
        let mut found = examine::of_policies(&in_force, remarks);
        found.extend(examine::of_registries(&self.registries));
        let context = Context::new(self.parts(objects, in_force), Vec::new());
        found.extend(examine::of_repositories(&context, now).await?);
        Ok((report, found))
    }

    /// What a process with these objects asks of the API server, where `namespaces` are watched.
    /// What cannot be read is among the problems of the report.
    ///
    /// # Errors
    /// Objects cannot be read at all.
    pub async fn rights(&self, namespaces: &Namespaces) -> anyhow::Result<(Rights, Report)> {
        let objects = self.source.read(&self.git).await?;
        let now = Timestamp::now();
        let (in_force, remarks) = self.policies.unread(&objects.policies().await?, now);
        let context = Context::new(self.parts(objects, in_force), Vec::new());
        let (rights, mut report) = pipeline::rights::rights(&context, namespaces, now).await?;
        let invalid = remarks
            .into_iter()
            .filter(|remark| remark.reason == Reason::PolicyInvalid);
        report.problems.extend(invalid.map(|remark| Problem {
            subject: remark.subject,
            application: None,
            cause: Cause::new(remark.reason, remark.detail),
        }));
        Ok((rights, report))
    }

    /// The namespace of Argo CD.
    #[must_use]
    pub fn argocd_namespace(&self) -> &str {
        &self.argocd_namespace
    }

    /// Connects to the API server, where objects come from there.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub async fn connect(&self) -> anyhow::Result<Option<Arc<Cluster>>> {
        let cluster = self.source.connect().await?;
        if let Some(cluster) = &cluster {
            let requests = Arc::clone(cluster.requests());
            self.metrics.peer.follow_api(requests);
        }
        Ok(cluster)
    }

    /// Creates no Kubernetes events from now on.
    pub const fn disable_kube_events(&mut self) {
        self.kube_events = false;
    }

    /// Stands for election with the other replicas; from then on nothing is written but while we
    /// lead. Where there is no election, the lease only holds open intents, if anything. `None`: no
    /// lease is needed, or objects do not come from an API server.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn stand(
        &mut self,
        namespace: Option<&str>,
        election: bool,
    ) -> anyhow::Result<Option<Standing>> {
        let Some(cluster) = self.connect().await? else {
            return Ok(None);
        };
        let namespace = namespace.or(self.source.own_namespace());
        let namespace = namespace.unwrap_or(&self.argocd_namespace);
        let client = cluster.client().clone();
        let keeps = self.record == Record::Output;
        if self.mode == Mode::Write && (election || keeps) {
            self.intents = Some(OpenIntents::new(keeps));
        }
        let intents = self.intents.clone();
        if !election {
            let keeper = intents.map(|intents| Keeper::start(client, namespace, intents));
            return Ok(keeper.map(Standing::Alone));
        }
        let identity = lease::identity();
        let candidacy = Candidacy::start(client, namespace, identity, Timing::default(), intents);
        self.leader = Some(candidacy.leader());
        Ok(Some(Standing::Elected(candidacy)))
    }

    /// The open intents on the lease.
    #[must_use]
    pub fn intents(&self) -> Option<OpenIntents> {
        self.intents.clone()
    }

    /// Runs one cycle on objects that are read anew.
    ///
    /// # Errors
    /// Objects cannot be read at all, or the journal cannot be written.
    pub async fn cycle(&mut self) -> anyhow::Result<Report> {
        self.cycle_on(Scope::default()).await
    }

    /// Spreads the first questions to the repositories of one registry over seconds from now on.
    pub fn spread_out(&mut self) {
        self.spread = Some(rand::random());
    }

    /// The Applications that use an image repository, as the cycles so far know them: whom a push to
    /// it concerns. Webhooks are not taken yet; until then nothing but tests asks.
    pub fn users(&self, repository: &Canonical) -> BTreeSet<String> {
        let index = self.kept.index();
        let users = index.users(repository);
        users.map(|slot| slot.application.to_string()).collect()
    }

    /// Runs one cycle on a part of the Applications.
    ///
    /// # Errors
    /// As [`Self::cycle`].
    pub async fn cycle_on(&mut self, scope: Scope<'_>) -> anyhow::Result<Report> {
        let whole = scope.among.is_none();
        let ended = self.run(scope).await;
        if let (Err(error), true) = (&ended, whole) {
            self.tell_failure(&format!("{error:#}")).await;
        }
        ended
    }

    async fn run(&mut self, scope: Scope<'_>) -> anyhow::Result<Report> {
        let Scope { among, not_due } = scope;
        let objects = self.source.read(&self.git).await?;
        let now = Timestamp::now();
        let policies = objects.policies().await?;
        let (in_force, remarks) = self.policies.take(&policies, objects.as_ref(), now).await;
        self.record_remarks(&remarks, now)?;
        let whole = among.is_none();
        let unsettled = self.take_unsettled(now).await?;
        let mut statuses = std::mem::take(&mut self.statuses);
        let mut parts = self.parts(Arc::clone(&objects), in_force);
        parts.among = among;
        parts.not_due = not_due;
        let context = Context::new(parts, unsettled);
        // What is said meanwhile holds up one request at most: of a cycle that is over, no start is
        // told any more.
        let over = AtomicBool::new(false);
        let start = Box::pin(self.tell_start(&mut statuses, objects.as_ref(), whole, &over));
        let cycle = async {
            let report = Box::pin(pipeline::cycle(&context)).await;
            over.store(true, Ordering::Relaxed);
            report
        };
        let (remarks, report) = tokio::join!(start, cycle);
        self.unsettled = context.into_unsettled();
        self.statuses = statuses;
        self.registries.flush();
        self.record_remarks(&remarks, now)?;
        let mut report = report?;
        self.compare(&mut report, now, whole)?;
        self.count(&report, whole).await?;
        self.tell(&report, objects.as_ref(), &policies).await?;
        Ok(report)
    }

    /// In shadow mode: where what is written differs from what would have been.
    fn compare(&mut self, report: &mut Report, now: Timestamp, whole: bool) -> anyhow::Result<()> {
        let Some(shadow) = &mut self.shadow else {
            return Ok(());
        };
        report.shadow = shadow.look(report, whole)?;
        for difference in report.shadow.iter().filter(|one| one.is_new) {
            tracing::warn!(
                reason = Reason::ShadowDiffers.id(),
                application = difference.application,
                "{}",
                difference.detail()
            );
            self.metrics.notice(Reason::ShadowDiffers);
            if let Some(journal) = &self.journal {
                let body = Body::Notice(Notice {
                    cause: Cause::new(Reason::ShadowDiffers, difference.detail()),
                    subject: difference.image.clone(),
                    application: Some(difference.application.clone()),
                });
                journal.record(&body, now)?;
            }
        }
        Ok(())
    }

    fn parts(&self, objects: Arc<dyn Objects>, in_force: InForce) -> Parts<'_> {
        Parts {
            objects,
            registries: &self.registries,
            git: &self.git,
            journal: self.journal.as_ref(),
            metrics: Some(&self.metrics),
            policies: &self.policies,
            in_force,
            commit: self.commit.clone(),
            argocd_namespace: self.argocd_namespace.clone(),
            annotations: self.annotations,
            dry_run: self.mode != Mode::Write,
            shadow: self.mode == Mode::Shadow,
            repositories_at_once: self.repositories_at_once,
            leader: self.leader.clone(),
            intents: self.intents.clone(),
            only: self.only.as_deref(),
            among: None,
            not_due: None,
            kept: &self.kept,
            spread: self.spread,
            thorough: self.thorough,
        }
    }

    /// Ends the journal in order.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn close(self) -> anyhow::Result<()> {
        if let Some(journal) = self.journal {
            let stopped = sealift_core::event::Stopped::default();
            let body = sealift_core::event::Body::Stopped(stopped);
            journal.record_durably(&body, Timestamp::now())?;
        }
        Ok(())
    }
}

fn open_repositories(
    options: &GitOptions,
    state: &StateFolder,
    registries: &Registries,
) -> anyhow::Result<Repositories> {
    let mut settings = GitSettings::new(state.subfolder("git")?);
    settings.net = Some(registries.net().clone());
    settings.rules.allow_local = options.allow_local_git;
    settings.rules.plaintext_credential_hosts =
        options.allow_plaintext_git.iter().cloned().collect();
    settings.rules.ssh_program = std::env::current_exe().ok();
    Ok(Repositories::new(settings)?)
}

/// Old annotations must not begin to write when Sealift takes the peer's place in a cluster.
fn annotations(options: &SourceOptions, source: &ObjectSource) -> AnnotationsOption {
    let unasked = match source.own_namespace() {
        Some(_) => AnnotationsOption::Never,
        None => AnnotationsOption::Auto,
    };
    options.annotations.unwrap_or(unasked)
}

/// Where the Deployment of Argo CD Image Updater mounts `registries.conf`. Drop-in contract,
/// "ConfigMap".
const MOUNTED_REGISTRIES: &str = "/app/config/registries.conf";
/// Where it mounts the template of commit messages.
const MOUNTED_TEMPLATE: &str = "/app/config/commit.template";

fn commit_settings(options: &GitOptions, mounted: Option<&str>) -> anyhow::Result<CommitSettings> {
    if options.git_commit_method == CommitMethod::Api {
        let reason = Reason::ApiCommitNotAvailable;
        anyhow::bail!(
            "`--git-commit-method api`: {} ({reason})",
            reason.sentence()
        );
    }
    let named = options.git_commit_message_path.as_deref();
    let template = match &file_or_mounted(named, mounted) {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("the template `{}` cannot be read", path.display()))?;
            Template::parse(&text).with_context(|| format!("`{}`", path.display()))?
        }
        None => Template::parse(DEFAULT_TEMPLATE)?,
    };
    let signer = options.git_commit_signing_key.as_deref();
    let signer = signer.map(|path| signer_from(path, options.git_commit_signing_method));
    Ok(CommitSettings {
        author: Author {
            name: one_line(&options.git_commit_user, "--git-commit-user")?,
            email: one_line(&options.git_commit_email, "--git-commit-email")?,
        },
        sign_off: options.signs_off(),
        template: Arc::new(template),
        signer: signer.transpose()?.map(Arc::new),
        per_branch: options.commit_per == CommitPer::Branch,
    })
}

/// Names and addresses go into commit headers, where `<`, `>` and line ends would end them.
fn one_line(text: &str, option: &str) -> anyhow::Result<String> {
    let bad = |c: char| c.is_control() || matches!(c, '<' | '>');
    anyhow::ensure!(
        !text.trim().is_empty() && !text.contains(bad),
        "`{option} {text}`: a name for commits is one line without `<` and `>`"
    );
    Ok(text.trim().to_owned())
}

fn signer_from(path: &Path, method: SigningMethod) -> anyhow::Result<Signer> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the signing key `{shown}` cannot be read"))?;
    let key = Secret::new(text);
    let signer = match method {
        SigningMethod::Ssh => Signer::from_ssh(&key),
        SigningMethod::Openpgp => {
            let passphrase = std::env::var("SEALIFT_SIGNING_PASSPHRASE")
                .ok()
                .map(Secret::new);
            Signer::from_openpgp(&key, passphrase.as_ref())
        }
    };
    signer.with_context(|| format!("the signing key `{shown}`"))
}
