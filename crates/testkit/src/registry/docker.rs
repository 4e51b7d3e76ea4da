//! The real `docker-registry` (Debian package; CNCF Distribution 2.8), on loopback, with its
//! storage in a folder.
//!
//! Worlds of many tags are written straight into the storage: a push by HTTP of 50,000 tags takes
//! minutes, the files take seconds. [`DockerRegistry::push`] takes the way of real clients. This
//! registry neither pages without `n` nor sends an `ETag` for listings.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::image::Artifact;

/// How long the process may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running `docker-registry`; killed when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    address: SocketAddr,
    process: Child,
    storage: Storage,
    // Last: the folder goes after the process.
    _folder: Option<tempfile::TempDir>,
}

impl DockerRegistry {
    /// Starts a registry that is empty, stores in a temporary folder and asks for no credentials.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::launch(folder.path().to_owned(), Some(folder))
    }

    /// Starts a registry over `folder`, which a [`Storage`] may have filled before.
    #[must_use]
    pub fn start_in(folder: &Path) -> Self {
        Self::launch(folder.to_owned(), None)
    }

    fn launch(root: PathBuf, folder: Option<tempfile::TempDir>) -> Self {
        let storage = Storage::new(&root);
        // The port is free when it is chosen and may be taken before the process binds it: then try
        // the next.
        for _ in 0..10 {
            let address = free_address();
            let config = root.join("config.yml");
            fs::write(&config, configuration(&storage.root, address)).expect("config.yml");
            let process = Command::new("docker-registry")
                .arg("serve")
                .arg(&config)
                .env_clear()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(root.join("registry.log")).expect("registry.log"))
                .spawn()
                .expect("`docker-registry` starts (Debian package `docker-registry`)");
            let mut registry = Self {
                address,
                process,
                storage: storage.clone(),
                _folder: None,
            };
            if registry.listens() {
                registry._folder = folder;
                return registry;
            }
        }
        panic!(
            "docker-registry did not start; see {}/registry.log",
            root.display()
        );
    }

    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.process.try_wait().expect("process state").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Where it listens, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Process id, for CPU accounting.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its storage, to write images into while it runs.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Pushes `artifact` by HTTP under `tag`, as a client would: blobs, children, manifest.
    pub async fn push(&self, repository: &str, tag: &str, artifact: &Artifact) {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("client");
        for child in &artifact.children {
            self.push_blobs(&client, repository, child).await;
            self.put_manifest(&client, repository, &child.manifest.digest, child)
                .await;
        }
        self.push_blobs(&client, repository, artifact).await;
        self.put_manifest(&client, repository, tag, artifact).await;
    }

    async fn push_blobs(&self, client: &reqwest::Client, repository: &str, artifact: &Artifact) {
        for blob in &artifact.blobs {
            let start = format!("{}/v2/{repository}/blobs/uploads/", self.url());
            let answer = client.post(start).send().await.expect("upload starts");
            let location = answer.headers().get("location").expect("Location").to_str();
            let mut url = url::Url::parse(location.expect("ASCII Location")).expect("URL");
            url.query_pairs_mut().append_pair("digest", &blob.digest);
            let answer = client.put(url).body(blob.bytes.clone()).send().await;
            let status = answer.expect("upload").status();
            assert!(status.is_success(), "blob upload answered {status}");
        }
    }

    async fn put_manifest(
        &self,
        client: &reqwest::Client,
        repository: &str,
        reference: &str,
        artifact: &Artifact,
    ) {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.url());
        let answer = client
            .put(url)
            .header("content-type", &artifact.media_type)
            .body(artifact.manifest.bytes.clone())
            .send()
            .await
            .expect("manifest upload");
        let status = answer.status();
        assert!(status.is_success(), "manifest upload answered {status}");
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The storage folder of a `docker-registry`: its `filesystem` driver's layout, version 2.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
}

impl Storage {
    /// The storage below `folder`, running or not.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let root = folder.join("storage");
        fs::create_dir_all(&root).expect("storage folder");
        Self { root }
    }

    /// Stores `artifact` with everything below it in `repository`, without a tag.
    pub fn write(&self, repository: &str, artifact: &Artifact) {
        for child in &artifact.children {
            self.write(repository, child);
        }
        let repository = self.repository(repository);
        for blob in &artifact.blobs {
            self.write_blob(&blob.digest, &blob.bytes);
            write_link(&repository.join("_layers"), &blob.digest);
        }
        self.write_blob(&artifact.manifest.digest, &artifact.manifest.bytes);
        let revisions = repository.join("_manifests/revisions");
        write_link(&revisions, &artifact.manifest.digest);
    }

    /// Lets `tag` name the manifest `digest`, which [`Storage::write`] has stored.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let current = self
            .repository(repository)
            .join("_manifests/tags")
            .join(tag)
            .join("current");
        fs::create_dir_all(&current).expect("tag folder");
        fs::write(current.join("link"), digest).expect("tag link");
    }

    /// [`Storage::write`] and [`Storage::tag`].
    pub fn write_tagged(&self, repository: &str, tag: &str, artifact: &Artifact) {
        self.write(repository, artifact);
        self.tag(repository, tag, &artifact.manifest.digest);
    }

    /// Takes a tag away.
    pub fn untag(&self, repository: &str, tag: &str) {
        let tags = self.repository(repository).join("_manifests/tags");
        fs::remove_dir_all(tags.join(tag)).expect("tag folder goes");
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.root.join("docker/registry/v2/repositories").join(name)
    }

    fn write_blob(&self, digest: &str, bytes: &[u8]) {
        let hex = hex_of(digest);
        let folder = self
            .root
            .join("docker/registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(hex);
        let data = folder.join("data");
        if !data.exists() {
            fs::create_dir_all(&folder).expect("blob folder");
            fs::write(data, bytes).expect("blob");
        }
    }
}

fn write_link(folder: &Path, digest: &str) {
    let folder = folder.join("sha256").join(hex_of(digest));
    let link = folder.join("link");
    if !link.exists() {
        fs::create_dir_all(&folder).expect("link folder");
        fs::write(link, digest).expect("link");
    }
}

fn hex_of(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("a sha256 digest")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("its address")
}

fn configuration(storage: &Path, address: SocketAddr) -> String {
    let mut text =
        String::from("version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n");
    let _infallible = write!(
        text,
        "storage:\n  filesystem:\n    rootdirectory: {}\n    maxthreads: 500\nhttp:\n  addr: {address}\n",
        storage.display()
    );
    text
}
