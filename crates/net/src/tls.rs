//! Whom a TLS connection believes: the system's roots, extra ones, or (where the settings say so)
//! anyone.

use reqwest::Certificate;

use crate::error::NetError;

/// TLS settings of one endpoint. Equal settings share one connection pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tls {
    /// Texts of PEM certificates that are trusted besides the system's roots.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Accept every certificate. Only from the operator's own configuration.
    pub insecure: bool,
}

impl Tls {
    /// The extra roots, parsed.
    ///
    /// # Errors
    /// [`NetError::Setup`] when a text holds no readable certificate: never a fall back to the
    /// system's roots.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, NetError> {
        let mut certificates = Vec::new();
        for (index, pem) in self.extra_roots_pem.iter().enumerate() {
            let what = || format!("CA text number {} (expected PEM certificates)", index + 1);
            let parsed = Certificate::from_pem_bundle(pem).map_err(|source| NetError::Setup {
                what: what(),
                source: Some(source),
            })?;
            if parsed.is_empty() {
                return Err(NetError::Setup {
                    what: what(),
                    source: None,
                });
            }
            certificates.extend(parsed);
        }
        Ok(certificates)
    }
}
