//! The certificate that metrics are served with: one from a folder, read again when it is replaced
//! there, or one that we sign ourselves and make anew long before it ends.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sealift_core::limits::{
    CHAIN_CERTIFICATES_MAX, METRICS_CERTIFICATE_BYTES_MAX, METRICS_CERTIFICATE_DAYS,
    METRICS_CERTIFICATE_LOOK_MS, METRICS_CERTIFICATE_RENEW_DAYS,
};
use sealift_core::reason::Reason;
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::metrics::Metrics;

/// What TLS is spoken with, and the task that keeps it in force.
///
/// # Errors
/// The folder holds no certificate with its key.
pub(super) fn acceptor(
    folder: Option<&Path>,
    metrics: Arc<Metrics>,
) -> anyhow::Result<(TlsAcceptor, impl Future<Output = ()> + Send + use<>)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificate = Certificate::open(folder, Arc::clone(&provider), Timestamp::now())?;
    let certificate = Arc::new(certificate);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let keep = async move {
        loop {
            tokio::time::sleep(Duration::from_millis(METRICS_CERTIFICATE_LOOK_MS)).await;
            let certificate = Arc::clone(&certificate);
            // A folder on a network may be slow; answers are not to wait for it.
            let look = move || certificate.look(Timestamp::now());
            let looked = tokio::task::spawn_blocking(look).await;
            if let Err(error) = looked.unwrap_or_else(|error| Err(error.into())) {
                metrics.notice(Reason::MetricsCertificateInvalid);
                tracing::warn!(
                    reason = Reason::MetricsCertificateInvalid.id(),
                    error = format!("{error:#}"),
                    "metrics are served with the certificate from before"
                );
            }
        }
    };
    Ok((TlsAcceptor::from(Arc::new(config)), keep))
}

/// The certificate in force.
struct Certificate {
    folder: Option<PathBuf>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    /// When one of ours is made anew.
    renewed: Timestamp,
    /// What was read last, whether or not it could be used.
    seen: [u8; 32],
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Certificate");
        shown.field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.in_force())
    }
}

impl Certificate {
    fn open(
        folder: Option<&Path>,
        provider: Arc<CryptoProvider>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let (key, seen) = match folder {
            Some(folder) => {
                let files = Files::read(folder)?;
                (files.key(&provider)?, files.hash())
            }
            None => (own(&provider, now)?, MISSING),
        };
        Ok(Self {
            folder: folder.map(Path::to_owned),
            provider,
            current: RwLock::new(Current {
                key: Arc::new(key),
                renewed: renewal(now),
                seen,
            }),
        })
    }

    fn in_force(&self) -> Arc<CertifiedKey> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.key)
    }

    /// Takes over what is new. What cannot be used is an error once, and changes nothing.
    fn look(&self, now: Timestamp) -> anyhow::Result<()> {
        let set = |change: &dyn Fn(&mut Current)| {
            change(&mut self.current.write().unwrap_or_else(PoisonError::into_inner));
        };
        let (renewed, seen) = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            (current.renewed, current.seen)
        };
        let Some(folder) = &self.folder else {
            if now >= renewed {
                let key = Arc::new(own(&self.provider, now)?);
                set(&|current| (current.key, current.renewed) = (Arc::clone(&key), renewal(now)));
            }
            return Ok(());
        };
        let files = Files::read(folder);
        let hash = files.as_ref().map_or(MISSING, Files::hash);
        if hash == seen {
            return Ok(());
        }
        set(&|current| current.seen = hash);
        let key = Arc::new(files?.key(&self.provider)?);
        set(&|current| current.key = Arc::clone(&key));
        Ok(())
    }
}

/// In the place of a hash: nothing could be read.
const MISSING: [u8; 32] = [0; 32];

fn renewal(made: Timestamp) -> Timestamp {
    days_after(made, METRICS_CERTIFICATE_RENEW_DAYS)
}

fn days_after(time: Timestamp, days: i64) -> Timestamp {
    let later = time.checked_add(SignedDuration::from_hours(24 * days));
    later.unwrap_or(Timestamp::MAX)
}

/// Signs a certificate ourselves. Whoever reads metrics cannot tell it from another's, which is why
/// a folder can be named; what passes is not to be read on the way all the same.
fn own(provider: &CryptoProvider, now: Timestamp) -> anyhow::Result<CertifiedKey> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    let day = |time: Timestamp| {
        let date = time.to_zoned(TimeZone::UTC).date();
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    // Whole days: the one before, for clocks that are behind, and the one after the last.
    params.not_before = day(days_after(now, -1));
    params.not_after = day(days_after(now, METRICS_CERTIFICATE_DAYS + 1));
    let pair = KeyPair::generate()?;
    let certificate = params.self_signed(&pair)?;
    let key = PrivateKeyDer::try_from(pair.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok(CertifiedKey::from_der(
        vec![certificate.der().clone()],
        key,
        provider,
    )?)
}

/// The two files of a Secret of type `kubernetes.io/tls`.
struct Files {
    folder: PathBuf,
    chain: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Files {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            chain: read(&folder.join("tls.crt"))?.to_vec(),
            key: read(&folder.join("tls.key"))?,
        })
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(Sha256::digest(&self.chain));
        hash.update(Sha256::digest(&self.key));
        hash.finalize().into()
    }

    fn key(&self, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
        let folder = self.folder.display();
        let chain = CertificateDer::pem_slice_iter(&self.chain).take(CHAIN_CERTIFICATES_MAX);
        let chain: Vec<_> = chain
            .collect::<Result<_, _>>()
            .with_context(|| format!("`{folder}/tls.crt` is no PEM"))?;
        anyhow::ensure!(!chain.is_empty(), "`{folder}/tls.crt` holds no certificate");
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("`{folder}/tls.key` holds no private key"))?;
        CertifiedKey::from_der(chain, key, provider)
            .with_context(|| format!("`{folder}`: certificate and key do not go together"))
    }
}

/// A whole file of a bearable length, which may hold a key.
fn read(path: &Path) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
    let unread = || format!("`{}` cannot be read", path.display());
    // A pipe or a device would not end.
    let kind = std::fs::metadata(path).with_context(unread)?;
    anyhow::ensure!(
        kind.is_file(),
        "`{}` is no regular file; a certificate and its key are two of them",
        path.display()
    );
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let most = METRICS_CERTIFICATE_BYTES_MAX as u64 + 1;
    let file = std::fs::File::open(path).with_context(unread)?;
    file.take(most)
        .read_to_end(&mut bytes)
        .with_context(unread)?;
    anyhow::ensure!(
        bytes.len() <= METRICS_CERTIFICATE_BYTES_MAX,
        "`{}` is larger than {METRICS_CERTIFICATE_BYTES_MAX} bytes",
        path.display()
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn opened(folder: Option<&Path>) -> anyhow::Result<Certificate> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Certificate::open(folder, provider, now())
    }

    fn write(folder: &Path, names: &str) -> KeyPair {
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new([names.to_owned()]).unwrap();
        let certificate = params.self_signed(&pair).unwrap();
        std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), pair.serialize_pem()).unwrap();
        pair
    }

    #[test]
    fn our_own_is_made_anew_before_it_ends_and_not_sooner() {
        let certificate = opened(None).unwrap();
        let first = certificate.in_force();
        let soon = days_after(now(), METRICS_CERTIFICATE_RENEW_DAYS - 1);
        certificate.look(soon).unwrap();
        assert!(Arc::ptr_eq(&first, &certificate.in_force()));
        const { assert!(METRICS_CERTIFICATE_RENEW_DAYS < METRICS_CERTIFICATE_DAYS) };
        let then = days_after(now(), METRICS_CERTIFICATE_RENEW_DAYS);
        certificate.look(then).unwrap();
        let second = certificate.in_force();
        assert_ne!(first.cert, second.cert);
        // It counts from then on: the one after it comes as much later.
        certificate.look(then).unwrap();
        assert!(Arc::ptr_eq(&second, &certificate.in_force()));
        certificate
            .look(days_after(then, METRICS_CERTIFICATE_RENEW_DAYS))
            .unwrap();
        assert_ne!(second.cert, certificate.in_force().cert);
    }

    #[test]
    fn one_in_a_folder_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.test");
        let certificate = opened(Some(folder.path())).unwrap();
        let first = certificate.in_force();
        certificate.look(now()).unwrap();
        assert!(Arc::ptr_eq(&first, &certificate.in_force()));
        let pair = write(folder.path(), "b.test");
        certificate.look(now()).unwrap();
        let second = certificate.in_force();
        assert_ne!(first.cert, second.cert);

        // Another key than the certificate's is said once.
        let other = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(folder.path().join("tls.key"), other).unwrap();
        assert!(certificate.look(now()).is_err());
        assert!(Arc::ptr_eq(&second, &certificate.in_force()));
        certificate.look(now()).unwrap();
        std::fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(certificate.look(now()).is_err());
        certificate.look(now()).unwrap();
        std::fs::write(folder.path().join("tls.key"), pair.serialize_pem()).unwrap();
        certificate.look(now()).unwrap();
        assert_eq!(second.cert, certificate.in_force().cert);
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.crt");
        write(folder.path(), "a.test");
        let certificate = opened(Some(folder.path())).unwrap();
        let first = certificate.in_force();

        let mut text = std::fs::read(&path).unwrap();
        text.resize(METRICS_CERTIFICATE_BYTES_MAX + 1, b'\n');
        std::fs::write(&path, &text).unwrap();
        let error = certificate.look(now()).unwrap_err();
        assert!(error.to_string().contains("larger"), "{error:#}");
        // With one byte less it is as good as any.
        text.pop();
        std::fs::write(&path, &text).unwrap();
        certificate.look(now()).unwrap();
        assert_eq!(first.cert, certificate.in_force().cert);

        std::fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let looked = certificate
                .look(now())
                .map_err(|error| format!("{error:#}"));
            told.send((looked, certificate.in_force()))
        });
        // A pipe that nobody writes to does not end: a look that waits for it fails here.
        let patience = std::time::Duration::from_secs(60);
        let (looked, after) = hears.recv_timeout(patience).unwrap();
        let error = looked.unwrap_err();
        assert!(error.contains("no regular file"), "{error}");
        assert_eq!(first.cert, after.cert);
    }

    #[test]
    fn a_folder_without_a_whole_pair_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(opened(Some(folder.path())).is_err());
        write(folder.path(), "a.test");
        std::fs::write(folder.path().join("tls.crt"), "").unwrap();
        let error = opened(Some(folder.path())).unwrap_err();
        assert!(error.to_string().contains("no certificate"), "{error:#}");
    }
}
