//! Every bound of the program, with its unit and its reason.
//!
//! A loop, queue, body, page, retry or cache without a line here is a defect. Units stand last in
//! the names.

/// Tags read from one repository, in tags. The largest public repository seen in the field holds
/// about 202,000.
pub const TAGS_MAX: usize = 500_000;
/// Bytes of one tag name. OCI distribution-spec v1.1, "Pulling manifests": at most 128 characters.
pub const TAG_BYTES_MAX: usize = 128;

// The way out (`net`).

/// Requests in flight to one origin, in requests. More gains nothing on one host and churns its
/// connection pool.
pub const REQUESTS_PER_ORIGIN_MAX: usize = 32;
/// Steps of one redirect chain, in redirects.
pub const REDIRECTS_MAX: usize = 10;
/// Time to reach a host, in milliseconds: TCP and TLS handshakes together.
pub const CONNECT_MS_MAX: u64 = 10_000;
/// Time until the head of an answer, in milliseconds.
pub const RESPONSE_HEAD_MS_MAX: u64 = 30_000;
/// Time for one request with its whole answer, in milliseconds: a server that drips bytes holds
/// nobody longer.
pub const REQUEST_MS_MAX: u64 = 120_000;
/// Tries of one idempotent request, in requests.
pub const REQUEST_TRIES_MAX: u32 = 4;
/// First ceiling of the jittered wait between tries, in milliseconds; it doubles with each try.
pub const RETRY_WAIT_MS: u64 = 250;
/// Last ceiling of the jittered wait between tries, in milliseconds.
pub const RETRY_WAIT_MS_MAX: u64 = 10_000;
/// Longest pause that a request sits out, in milliseconds. Behind a longer one it fails as
/// `rate-limited`.
pub const PAUSE_WAIT_MS_MAX: u64 = 60_000;
/// Longest pause that a server may ask for, in milliseconds; a hostile one must not silence itself
/// for ever.
pub const PAUSE_MS_MAX: u64 = 3_600_000;
/// Pause after `RateLimit-Remaining: 0` without a time, in milliseconds. Docker Hub names a window
/// but not its end.
pub const PAUSE_UNKNOWN_MS: u64 = 60_000;
/// Failures in a row, in requests with all their tries, after which an origin counts as down.
pub const ORIGIN_FAILURES_MAX: u32 = 4;
/// How long an origin that is down is not asked, in milliseconds: hundreds of repositories must not
/// each wait for a dead host.
pub const ORIGIN_DOWN_MS: u64 = 5_000;
/// Bytes read of the body of an error answer, in bytes: registries explain themselves in a few
/// lines of JSON.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;
/// Requests that a rate limit lets through at once after idleness, in requests.
pub const RATE_BURST_MAX: u32 = 10;
/// Origins whose pace is kept, in origins.
pub const ORIGINS_MAX: usize = 10_000;

// Registries (`registry`).

/// Bytes of one repository name: 255 with the host, as the field's tools have it.
pub const REPOSITORY_BYTES_MAX: usize = 255;
/// Requests a second to Docker Hub, where nothing is configured: the default of Argo CD Image
/// Updater.
pub const HUB_REQUESTS_PER_SECOND_MAX: u32 = 10;
/// Requests a second to a registry that nothing is configured for: the default of Argo CD Image
/// Updater.
pub const INFERRED_REQUESTS_PER_SECOND_MAX: u32 = 20;
/// Bytes of one line of challenges.
pub const CHALLENGE_BYTES_MAX: usize = 8 * 1024;
/// Challenges of one answer.
pub const CHALLENGES_MAX: usize = 16;
/// Tags asked for in one page, in tags: what most registries serve at most.
pub const PAGE_TAGS: usize = 1_000;
/// Pages of one listing, in pages: some registries serve 100 tags or fewer a page.
pub const PAGES_MAX: usize = 5_000;
/// Bytes of one page of a listing, and of a whole listing: [`TAGS_MAX`] tags of the greatest
/// length, with quotes.
pub const LISTING_BYTES_MAX: usize = 70 * 1024 * 1024;
/// Bytes of listings kept in memory with their validators, between cycles.
pub const LISTING_CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of one manifest or index. OCI distribution-spec v1.1 lets registries refuse more than 4
/// MiB.
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one image configuration.
pub const IMAGE_CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Manifests below one index.
pub const INDEX_CHILDREN_MAX: usize = 1_000;
/// Bytes of manifests and configurations kept in memory.
pub const CONTENT_CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of manifests and configurations kept on disk.
pub const CONTENT_DISK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of one answer of a token server.
pub const TOKEN_BYTES_MAX: usize = 256 * 1024;
/// Least life of a token, in seconds: what clients of the distribution protocol assume.
pub const TOKEN_LIFE_SECS_MIN: u64 = 60;
/// Longest life that a token is trusted for, in seconds.
pub const TOKEN_LIFE_SECS_MAX: u64 = 24 * 3600;
/// Tokens kept for one credential, in tokens (one a repository).
pub const TOKENS_MAX: usize = 20_000;
/// Least time between two readings of a refused credential, in seconds.
pub const CREDENTIAL_REFRESH_SECS: u64 = 60;
/// Longest time that a remembered tag is believed, in seconds. It is asked again within the second
/// half of it.
pub const TAG_MEMORY_SECS_MAX: i64 = 24 * 3600;
/// Bytes of one file of remembered tags: [`TAGS_MAX`] lines.
pub const TAG_MEMORY_BYTES_MAX: u64 = 120 * 1024 * 1024;
/// Characters of a registry's own error text that are shown.
pub const REGISTRY_MESSAGE_CHARS_MAX: usize = 200;

// Decisions.

/// Reasons kept with one decision, in reasons. Enough for `explain` on the largest repositories
/// people look at by eye.
pub const REASONS_MAX: usize = 10_000;
/// Reasons kept with one event, in reasons: an event is one line of JSON that a SIEM must accept.
pub const EVENT_REASONS_MAX: usize = 50;
/// Bytes of one annotation value. Kubernetes caps all annotations of an object at 256 KiB together.
pub const ANNOTATION_BYTES_MAX: usize = 256 * 1024;
/// Images in one `image-list`, in images.
pub const IMAGES_PER_APPLICATION_MAX: usize = 1_000;
/// Bytes of one ImageUpdater as JSON. etcd takes requests of 1.5 MiB.
pub const IMAGE_UPDATER_BYTES_MAX: usize = 1536 * 1024;
/// Items of `applicationRefs` of one ImageUpdater, in references: each is compared with each
/// Application.
pub const APPLICATION_REFS_MAX: usize = 1_000;
/// Things that are said to be wrong with one object, in errors: the first ones are enough to mend
/// it.
pub const OBJECT_ERRORS_MAX: usize = 50;
/// Items of `status.images` and of `status.recentUpdates` of one ImageUpdater, in items: they share
/// etcd's 1.5 MiB with the rest of the object.
pub const STATUS_ITEMS_MAX: usize = 200;
/// Age of `status.lastCheckedAt` from which it is written again although nothing else differs, in
/// seconds: cycles that edits begin come more often, and each write goes to etcd.
pub const STATUS_REFRESH_SECS: i64 = 60;
/// Names of Applications that one remark lists before it counts the others, in names.
pub const NAMES_LISTED_MAX: usize = 5;
/// Bytes of one regular expression after compilation: a hostile pattern must not cost memory.
pub const REGEX_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one glob or regular expression as written.
pub const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Items of one `ignore-tags`, in patterns. Each is compared with every tag.
pub const IGNORE_TAGS_MAX: usize = 1_000;
/// Bytes of the patterns with wildcards in one `ignore-tags`: work is their product with the bytes of every tag of a listing.
pub const IGNORE_TAGS_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one YAML file that is edited. Values files of a megabyte exist; ten are a mistake.
pub const YAML_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Nesting depth of one YAML file, in levels.
pub const YAML_DEPTH_MAX: usize = 128;
/// Entries of one file that are written for one image, in entries. Each is proven by reading the
/// whole file again; nobody repeats an entry more often on purpose.
pub const SLOT_ENTRIES_MAX: usize = 32;
/// Bytes of one Kubernetes manifest file read with `-f`.
pub const MANIFEST_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Files read with one `-f`, in files.
pub const MANIFEST_FILES_MAX: usize = 100_000;
/// Bytes of one path inside a repository. Linux: `PATH_MAX`.
pub const REPO_PATH_BYTES_MAX: usize = 4096;

/// Bytes of one text inside an event (a detail, a subject): enough for an error chain, too little
/// for a flood.
pub const EVENT_TEXT_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one event. Only an intent over thousands of slots comes near; a larger one is not
/// pushed.
pub const EVENT_LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one journal segment before the next one begins: what a start has to read.
pub const JOURNAL_SEGMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of the whole journal by default; older segments are deleted. About 700,000 considerations.
pub const JOURNAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of events held in memory before they are written to the segment.
pub const JOURNAL_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Findings kept by one check of a journal, in findings; the rest is counted.
pub const VERIFY_FINDINGS_MAX: usize = 1_000;
/// Anchors read from Git for one check of a journal, in anchors.
pub const ANCHORS_MAX: usize = 1_000_000;
/// Milliseconds between two looks at a journal that is followed.
pub const FOLLOW_POLL_MS: u64 = 250;

/// Bytes of one credential source as written. The longest sensible one names a namespace, a Secret
/// and a field of 253 characters each.
pub const CREDENTIAL_SOURCE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one docker configuration. Kubernetes caps a Secret at 1 MiB.
pub const DOCKER_CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of `registries.conf`. Kubernetes caps the ConfigMap it comes from at 1 MiB.
pub const REGISTRIES_CONF_BYTES_MAX: usize = 1024 * 1024;
/// Entries of `registries.conf`, in registries.
pub const REGISTRIES_MAX: usize = 10_000;
/// Aliases of one Kubernetes document. Manifests written by people hold a handful.
pub const MANIFEST_ALIASES_MAX: usize = 10_000;
/// Events that aliases of one Kubernetes document may repeat: an alias bomb ends here.
pub const MANIFEST_ALIAS_EVENTS_MAX: usize = 1_000_000;
/// Depth of folders below one `-f`, in levels. Deeper trees are a loop or a mistake.
pub const MANIFEST_FOLDER_DEPTH_MAX: usize = 64;
/// Bytes of all files of one run together: what the program may hold of them in memory.
pub const MANIFEST_TOTAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of one version constraint. The longest seen in the field has about 200.
pub const CONSTRAINT_BYTES_MAX: usize = 1024;
/// Candidates whose platforms are looked up for one image in one cycle, in tags: each costs a
/// manifest and a configuration, and a repository whose newest tags all lack the platform is a
/// mistake to report.
pub const PLATFORM_CANDIDATES_MAX: usize = 20;
/// Bytes of one branch name. Argo CD Image Updater cuts rendered names there; file systems allow no
/// longer component.
pub const BRANCH_BYTES_MAX: usize = 255;
/// Bytes of one repository URL. RFC 9110, section 4.1, recommends at least 8000 octets; nobody
/// needs a quarter of that.
pub const GIT_URL_BYTES_MAX: usize = 2048;
/// Bytes that one Git command may print: a listing of 200,000 references is about 16 MiB.
pub const GIT_OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes kept of what a Git command or server says on its error channel.
pub const GIT_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Seconds one Git command may take. Argo CD Image Updater: 90 s (`ARGOCD_EXEC_TIMEOUT`).
pub const GIT_DEADLINE_SECS: u64 = 90;
/// Bytes of one tree object: about 400,000 entries in one folder.
pub const GIT_TREE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of one commit object. Messages of a megabyte exist nowhere but in attacks.
pub const GIT_COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one file that is read from a repository, so that one hostile file cannot fill the
/// memory.
pub const GIT_FILE_BYTES_MAX: usize = YAML_BYTES_MAX;
/// Object requests sent to `git cat-file` before its answers are read: 64 of 65 bytes fit into any
/// pipe.
pub const GIT_BATCH_OBJECTS_MAX: usize = 64;
/// Packs in one cached repository before the cache is begun anew; each fetch and each push adds
/// one.
pub const GIT_PACKS_MAX: usize = 200;
/// Commits read for one look back, in commits.
pub const GIT_HISTORY_MAX: usize = 10_000;
/// Bytes of one pack that is received into memory; a larger one is left to the `git` program, which
/// streams it to the disk.
pub const GIT_PACK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Seconds for which a Git server that did not understand protocol version 2 over HTTP is not asked
/// again: a day.
pub const GIT_PLAIN_MARK_SECS: u64 = 24 * 60 * 60;
/// Files listed below one folder of a repository, in files.
pub const GIT_LIST_FILES_MAX: usize = MANIFEST_FILES_MAX;

/// Bytes of one template as written.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of what one template renders, and of each text on the way: no forge shows more.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Nesting of blocks and parentheses of one template, in levels.
pub const TEMPLATE_DEPTH_MAX: usize = 64;
/// Steps of rendering one template. A message about a thousand images takes about 20,000.
pub const TEMPLATE_STEPS_MAX: usize = 1_000_000;
/// Bytes of a text that a template's function reads or writes in one step: whoever may annotate an Application could keep a
/// cycle busy for hours otherwise.
pub const TEMPLATE_STEP_BYTES: usize = 64;
/// Tries of one push, in pushes: the branch may move under each.
pub const PUSH_TRIES_MAX: u32 = 6;
/// Longest pause before a push is tried again, in milliseconds. The pause is drawn from nothing to
/// a bound that doubles up to this.
pub const PUSH_PAUSE_MS_MAX: u64 = 4_000;
/// Commits looked at for one whose push nobody saw end, in commits.
pub const SETTLE_HISTORY_MAX: usize = 200;
/// Repositories of registries that are asked at once, in tasks. The registry client bounds requests
/// a host besides.
pub const REGISTRY_TASKS_MAX: usize = 64;

/// Seconds that a credential helper may run. Argo CD Image Updater stops them then, too.
pub const HELPER_DEADLINE_SECS: u64 = 10;
/// Seconds between the end of one run of a credential helper and the next, even when its login was
/// refused: many images that share a wrong login must not start a process each.
pub const HELPER_PAUSE_SECS: u64 = 5;
/// Bytes that a credential helper may print. Tokens of clouds have about 4 KiB.
pub const HELPER_OUTPUT_BYTES_MAX: usize = 64 * 1024;

// The Kubernetes API server (`sealift::cluster`).

/// Time to reach the API server, in milliseconds: TCP and TLS handshakes together.
pub const KUBE_CONNECT_MS_MAX: u64 = 10_000;
/// Time for one request to the API server, in milliseconds. It ends its own requests after a
/// minute.
pub const KUBE_REQUEST_MS_MAX: u64 = 60_000;
/// Objects of one page of a list, in objects: what `kubectl` asks for, too.
pub const WATCH_PAGE_OBJECTS: u32 = 500;
/// Seconds of one watch request, before it is asked anew: a server that hangs is noticed within
/// them.
pub const WATCH_SECS: u32 = 50;
/// First ceiling of the jittered pause before a broken watch begins anew, in milliseconds; it
/// doubles with each failure.
pub const WATCH_PAUSE_MS: u64 = 500;
/// Last ceiling of that pause, in milliseconds, and the longest that a server may ask for: an API
/// server that comes back is seen within it.
pub const WATCH_PAUSE_MS_MAX: u64 = 15_000;
/// Seconds without the API server after which nothing is decided any more: a policy may have
/// changed meanwhile.
pub const WATCH_STALE_SECS_MAX: u64 = 60;
/// Seconds that the first cycle waits for the API server.
pub const CLUSTER_START_SECS_MAX: u64 = 30;
/// Secrets with repository credentials of one namespace, in objects.
pub const REPOSITORY_SECRETS_MAX: usize = 10_000;
/// How long a change waits for those that come with it, in milliseconds: people apply several
/// objects at once.
pub const CHANGE_PAUSE_MS: u64 = 250;
/// Time between the starts of two whole cycles of which a change asked for the second, in
/// milliseconds: a storm of edits must not become a storm of requests to registries.
pub const CHANGE_GAP_MS: u64 = 10_000;
/// The same for cycles on the Applications that were edited, which ask for little.
pub const EDIT_GAP_MS: u64 = 500;
/// Edited Applications that are looked at by themselves, in objects; more than that ask for a whole
/// cycle.
pub const EDITED_OBJECTS_MAX: usize = 100;
/// Seconds that a leader's word counts, after which another may take over. Argo CD Image Updater's
/// own, since both use one lease while one takes the other's place.
pub const LEASE_SECS: u64 = 15;
/// Seconds after its last renewal at which a leader stops writing. What it began then has the rest
/// of the lease to end.
pub const LEASE_RENEW_SECS_MAX: u64 = 10;
/// Time between two looks at the lease, in milliseconds.
pub const LEASE_LOOK_MS: u64 = 2_000;
/// Time for one request about the lease, in milliseconds: two must fit before a leader stops.
pub const LEASE_REQUEST_MS_MAX: u64 = 4_000;
/// Longest duration that a lease of another may claim, in seconds: a hostile one must not keep
/// everybody out.
pub const LEASE_CLAIM_SECS_MAX: u64 = 300;
/// Pause before open intents are written to the lease, in milliseconds: those of repositories that
/// are worked on at the same time go into one write. At most 20 writes a second come of it.
pub const LEASE_GATHER_MS: u64 = 50;
/// How long outcomes wait for an intent to be written with, in milliseconds.
pub const LEASE_CLEAN_MS: u64 = 500;
/// Pause before the lease is read again after somebody else was faster, in milliseconds.
pub const LEASE_CONFLICT_PAUSE_MS: u64 = 100;
/// Bytes of what the lease keeps of one open intent: about thirty writes.
pub const INTENT_KEPT_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all open intents on the lease: twenty of the largest, two hundred of the usual ones.
/// Kubernetes lets all annotations of an object have 262,144 bytes.
pub const INTENTS_KEPT_BYTES_MAX: usize = 168 * 1024;
/// Open intents on the lease, in intents: each may cost a fetch when another process takes over. As
/// many repositories as may be worked on at once, and again as many whose end was not seen.
pub const INTENTS_KEPT_MAX: usize = 200;
/// Bytes of a text in the place of open intents that is kept although it cannot be read.
pub const INTENTS_UNREADABLE_BYTES_MAX: usize = 64 * 1024;
/// Seconds that a push waits for room for its intent on the lease. Pushes that end make room; where
/// none does, none of them reaches its repository.
pub const INTENT_ROOM_SECS_MAX: u64 = 300;
/// Seconds that a push waits for its intent to be on the lease, once there is room.
pub const INTENT_WRITE_SECS_MAX: u64 = 30;
/// Age of an open intent, in seconds, above which it is given up where no Application names its
/// place: an Application may be away for a while.
pub const INTENT_ORPHAN_SECS_MAX: u64 = 3_600;
/// Age of an open intent, in seconds, above which it is given up whatever the reason that nothing
/// could be found out: a day, as a repository may be away over a night.
pub const INTENT_OPEN_SECS_MAX: u64 = 86_400;
/// Age of another process's intent, in seconds, up to which its push may still be under way:
/// [`GIT_DEADLINE_SECS`], and half a minute for clocks that differ.
pub const INTENT_UNDER_WAY_SECS_MAX: u64 = GIT_DEADLINE_SECS + 30;
/// Open intents that stay after a cycle looked at them, in intents: half of what the lease has room
/// for, so that no repository that does not answer takes the others' room.
pub const INTENTS_UNSETTLED_MAX: usize = INTENTS_KEPT_MAX / 2;
/// Bytes of those, likewise.
pub const INTENTS_UNSETTLED_BYTES_MAX: usize = INTENTS_KEPT_BYTES_MAX / 2;
/// Open intents of one repository beside which another push is begun, in intents. One push at a
/// time goes to a repository; more are branches whose ends were not seen.
pub const INTENTS_A_REPOSITORY_MAX: usize = 4;
/// Intents that ended and are remembered, in intents: a write of the lease that was given up may
/// arrive later. Ten times what one write can hold, five minutes of pushes at full speed.
pub const INTENTS_ENDED_MAX: usize = 10 * INTENTS_KEPT_MAX;
/// Seconds that a cycle looks for what became of open intents, all together: one fetch that hangs.
pub const SETTLE_SECS_MAX: u64 = GIT_DEADLINE_SECS + 10;
/// Tries of one change of an Application, in patches: each begins anew at what stands there then.
pub const PATCH_TRIES_MAX: u32 = 5;
/// Tries to write one status, in patches: each begins anew at the object as it is then.
pub const STATUS_TRIES_MAX: u32 = 5;
/// Least pause before an object that is being deleted is let go of again, in milliseconds: somebody
/// waits for it.
pub const RELEASE_PAUSE_MS: u64 = 1_000;
/// Longest such pause, in milliseconds: rights that are missing stay so for long.
pub const RELEASE_PAUSE_MS_MAX: u64 = 60_000;

// Probes and metrics (`sealift::serve`).

/// Connections that are open at once on one listening address, in connections; beyond that the
/// oldest that has sent no request gives way, or else the oldest. The kubelet and a pair of scrapers need a handful.
pub const SERVER_CONNECTIONS_MAX: usize = 64;
/// Time for a TLS handshake with whoever reads metrics, in milliseconds.
pub const SERVER_HANDSHAKE_MS_MAX: u64 = 5_000;
/// Time until the head of a request is there, in milliseconds: who sends slowly holds no connection
/// longer.
pub const SERVER_HEAD_MS_MAX: u64 = 5_000;
/// Bytes of the head of a request, and of what is buffered of one. Tokens of ServiceAccounts have
/// about 1 KiB.
pub const SERVER_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Time for one connection with its one answer, in milliseconds: who reads slowly holds no
/// connection longer.
pub const SERVER_CONNECTION_MS_MAX: u64 = 30_000;
/// Pause after a connection could not be accepted, in milliseconds: without file descriptors the
/// next try fails, too.
pub const SERVER_ACCEPT_PAUSE_MS: u64 = 500;
/// Time that open connections have to end after a signal, in milliseconds.
pub const SERVER_GRACE_MS: u64 = 5_000;
/// Bytes of a bearer token; a longer one is refused without asking anybody.
pub const METRICS_TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Time for both questions about one token to the API server, in milliseconds.
pub const METRICS_REVIEW_MS_MAX: u64 = 10_000;
/// Bytes of one answer to such a question: groups and extra fields of a user have a few KiB.
pub const METRICS_REVIEW_BYTES_MAX: usize = 256 * 1024;
/// Tokens that the API server is asked about at once, in tokens: a stranger's guesses must not
/// become a load on it.
pub const METRICS_REVIEWS_AT_ONCE_MAX: usize = 4;
/// Answers about tokens that are remembered, in tokens.
pub const METRICS_REVIEWS_MAX: usize = 256;
/// How long a token that may read metrics is not asked about again, in seconds: a right that is
/// taken away counts that much longer. `kube-rbac-proxy` and controller-runtime remember for one to
/// five minutes.
pub const METRICS_ALLOWED_SECS: u64 = 60;
/// The same for one that may not, in seconds: a right that is given is seen within it.
pub const METRICS_DENIED_SECS: u64 = 10;
/// Life of a certificate that we sign ourselves, in days.
pub const METRICS_CERTIFICATE_DAYS: i64 = 30;
/// Age at which it is made anew, in days.
pub const METRICS_CERTIFICATE_RENEW_DAYS: i64 = 20;
/// Bytes of one of the files of a certificate, in bytes: an object of Kubernetes has about 1 MiB at
/// most, a chain of eight certificates with large keys 24 KiB.
pub const METRICS_CERTIFICATE_BYTES_MAX: usize = 256 * 1024;
/// Time between two looks at the certificate, in milliseconds: whether it is to be made anew, or was
/// replaced in its folder.
pub const METRICS_CERTIFICATE_LOOK_MS: u64 = 30_000;

// Evidence and trust (`registry::evidence`, `trust`).

/// Referrers of one digest, in manifests. Popular images carry dozens; a stranger who may push can
/// add any number.
pub const REFERRERS_MAX: usize = 200;
/// Pages of one referrers listing, in pages.
pub const REFERRERS_PAGES_MAX: usize = 20;
/// Bytes of one referrers page or fallback index.
pub const REFERRERS_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Layers read of one signature or attestation manifest, in layers: legacy cosign adds a layer for
/// each signature.
pub const EVIDENCE_LAYERS_MAX: usize = 100;
/// Items of evidence read for one digest over all ways, in items.
pub const EVIDENCE_ITEMS_MAX: usize = 400;
/// Bytes of one bundle, payload or envelope: SBOM attestations of large images reach some MiB.
pub const EVIDENCE_BLOB_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of all evidence of one digest.
pub const EVIDENCE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the annotations of one layer: a certificate, its chain and a log entry take about 20
/// KiB.
pub const EVIDENCE_ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
/// Seconds that reading all evidence of one digest in one repository may take: what a registry that
/// drips has not sent by then is a gap.
pub const EVIDENCE_SECS_MAX: u64 = 120;
/// Manifests or blobs in flight for one digest's evidence, in requests: with the bound of each this
/// bounds memory.
pub const EVIDENCE_FETCHES_MAX: usize = 8;
/// Bytes of evidence kept in memory between looks, for all digests.
pub const EVIDENCE_CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Templates of a chart that `explain` looks at for labels made of the tag, in files.
pub const CHART_TEMPLATES_MAX: usize = 200;
/// Bytes of evidence that a cycle remembers for the Applications still to come, for all digests.
/// What comes beyond is judged, let go of, and read again from the registry's cache when needed.
pub const EVIDENCE_CYCLE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Manifests that the `index.json` of an image layout may list: one image with all that hangs on it
/// has dozens.
pub const LAYOUT_MANIFESTS_MAX: usize = 2_000;
/// Platforms of one index whose signatures are read, in manifests.
pub const EVIDENCE_PLATFORMS_MAX: usize = 32;
/// Candidates of one slot that are judged in one cycle, in candidates, best first.
pub const CANDIDATES_JUDGED_MAX: usize = 20;
/// Log entries of one bundle, in entries.
pub const LOG_ENTRIES_MAX: usize = 8;
/// Signed timestamps of one bundle, in tokens.
pub const TIMESTAMPS_MAX: usize = 8;
/// Certificates of one chain, in certificates.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;
/// Verdicts that are remembered, in verdicts.
pub const VERDICTS_MAX: usize = 20_000;
/// Bytes of one policy document.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the name of an object. Kubernetes, "Object Names and IDs".
pub const OBJECT_NAME_BYTES_MAX: usize = 253;
/// Policies that are in force at once, in documents.
pub const POLICIES_MAX: usize = 500;
/// Authorities of one policy, in authorities.
pub const AUTHORITIES_MAX: usize = 64;
/// Bytes of one pattern or regular expression in a policy.
pub const POLICY_PATTERN_BYTES_MAX: usize = 1024;
/// Bytes of one public key file or `trusted_root.json`.
pub const TRUST_MATERIAL_BYTES_MAX: usize = 1024 * 1024;
/// Longest life of an exception, in seconds: 30 days.
pub const EXCEPTION_SECS_MAX: i64 = 30 * 24 * 60 * 60;
/// How long an expired trust root may still be used while its repository cannot be reached, in
/// seconds: three days.
pub const TRUST_ROOT_GRACE_SECS: i64 = 3 * 24 * 60 * 60;
/// How long a trust root is used without asking its repository again, in seconds: a day. Sigstore
/// signs its timestamp anew every few days.
pub const TRUST_ROOT_FRESH_SECS: i64 = 24 * 60 * 60;
/// How long a repository that failed is not asked again while the kept copy will do, in seconds: a
/// cycle every two minutes must not wait for a dead host each time.
pub const TRUST_ROOT_RETRY_SECS: i64 = 10 * 60;
/// Seconds that one refresh of a trust root may take, all requests together: a repository that
/// drips holds a cycle no longer.
pub const TRUST_ROOT_REFRESH_SECS_MAX: u64 = 60;
/// Trust roots fetched through TUF that policies may name at once, in roots; as many copies are
/// kept.
pub const TRUST_ROOTS_MAX: usize = 64;
/// Trust roots that are refreshed at the same time, in roots.
pub const TRUST_ROOT_TASKS_MAX: usize = 8;
/// Bytes of one kept copy of a trust root with all its metadata: hundreds of rotations at 10 KiB
/// each.
pub const TRUST_ROOT_COPY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one root of a TUF repository. python-tuf takes 512,000; Sigstore's has about 6,000.
pub const TUF_ROOT_BYTES_MAX: usize = 512 * 1024;
/// Bytes of the timestamp of a TUF repository. python-tuf takes as many.
pub const TUF_TIMESTAMP_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the snapshot, or of one list of targets, of a TUF repository. Sigstore's have less than
/// 20 KiB.
pub const TUF_METADATA_BYTES_MAX: usize = 1024 * 1024;
/// Rotations of the root walked in one refresh, in roots; the next refresh goes on from there.
/// Sigstore's had 16 in five years.
pub const TUF_ROTATIONS_MAX: u32 = 32;
/// Lists of targets visited to find one target, in roles.
pub const TUF_DELEGATIONS_MAX: u32 = 8;
/// Bytes of the name of one file of a TUF repository: a SHA-512 in hexadecimal and a name.
pub const TUF_NAME_BYTES_MAX: usize = 255;
/// Registries whose requests are counted each by name, in hosts: more would be labels without end.
pub const REGISTRIES_COUNTED_MAX: usize = 500;

// When what is looked at (`sealift`).

/// The shortest interval that an Application may ask for, in seconds: below that a registry is asked
/// by a loop, and a webhook is what is wanted.
pub const INTERVAL_SECS_MIN: u64 = 10;
/// The longest interval that an Application may ask for, in seconds: 30 days.
pub const INTERVAL_SECS_MAX: u64 = 30 * 24 * 60 * 60;
/// What is due within this time is looked at together, in milliseconds, so that Applications of one
/// Git repository share a push.
pub const DUE_TOGETHER_MS: u64 = 1_000;
/// The first questions to the repositories of one registry are spread over this time for each
/// repository, in milliseconds: a hundred a second, five times what a registry without
/// configuration allows.
pub const SPREAD_MS_A_REPOSITORY: u64 = 10;
/// And over no longer than this, in milliseconds.
pub const SPREAD_MS_MAX: u64 = 5_000;

// Tokens of GitHub Apps (`git`).

/// Seconds before its end that a token is no longer given out: a cycle that begins with it must end
/// before it does. GitHub's last an hour.
pub const GITHUB_TOKEN_RENEWED_SECS: i64 = 10 * 60;
/// Life of the signed request of an App, in seconds. GitHub takes no more than ten minutes, and
/// clocks differ.
pub const GITHUB_JWT_SECS: i64 = 9 * 60;
/// How long ago a signed request says it was made, in seconds. GitHub's advice against clocks that
/// differ.
pub const GITHUB_JWT_BACKDATED_SECS: i64 = 60;
/// Bytes of one answer of GitHub's API about an installation or a token. Real ones have less than
/// 20 KiB.
pub const GITHUB_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one token. GitHub's have 40 to about 520.
pub const GITHUB_TOKEN_BYTES_MAX: usize = 4096;
/// Tokens that are kept at once, in tokens: one a repository. More are asked for each time.
pub const GITHUB_TOKENS_MAX: usize = 10_000;
