//! TLS towards the broker (rustls with ring, TLS 1.2 and 1.3): whom we trust, and who we are.

use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, crypto::ring};

/// All that is needed to speak TLS with the broker, checked as far as it can be without the broker.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Who we are, where the broker asks for a certificate.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Our certificate and those between it and the authority, in PEM form.
    pub certificates: &'a [u8],
    /// The private key of the first certificate: PKCS#8, PKCS#1 or SEC1 in PEM form, not encrypted.
    pub key: &'a [u8],
}

/// What is wrong with the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Nobody to trust.
    #[error("no certificate of an authority is in it ({0})")]
    Authorities(String),
    /// No certificate of ours.
    #[error("no certificate is in it ({0})")]
    Certificate(String),
    /// No key, or an encrypted one.
    #[error("no private key that can be used is in it ({0})")]
    Key(String),
    /// The key is of another certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
}

impl Tls {
    /// Trusts brokers whose certificate one of these authorities (PEM form) has signed.
    ///
    /// # Errors
    /// One of the files holds nothing that can be used.
    pub fn new(authorities: &[u8], identity: Option<Identity<'_>>) -> Result<Self, TlsError> {
        let authorities = certificates(authorities).map_err(|error| TlsError::Authorities(words(&error)))?;
        let mut trusted = RootCertStore::empty();
        if trusted.add_parsable_certificates(authorities).0 == 0 {
            return Err(TlsError::Authorities("none of its certificates is well formed".to_owned()));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .with_root_certificates(trusted);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates(identity.certificates)
                    .map_err(|error| TlsError::Certificate(words(&error)))?;
                let key = PrivateKeyDer::from_pem_slice(identity.key)
                    .map_err(|error| TlsError::Key(words(&error)))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                    rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
                    rustls::Error::InvalidCertificate(error) => TlsError::Certificate(error.to_string()),
                    other => TlsError::Key(other.to_string()),
                })?
            }
        };
        Ok(Self(Arc::new(config)))
    }

    /// We have a certificate to show.
    pub(super) fn has_identity(&self) -> bool {
        self.0.client_auth_cert_resolver.has_certs()
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

impl PartialEq for Tls {
    /// The same files, read at the same time.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tls {}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) }
}

/// The library's own words show lines as numbers of octets.
fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of the kind in PEM form".to_owned(),
        pem::Error::MissingSectionEnd { .. } => "a PEM section has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => {
            "a PEM section has a start that is not well formed".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_pem_are_refused_each_by_what_it_lacks() {
        let nothing = "nothing of the kind in PEM form".to_owned();
        assert_eq!(Tls::new(b"", None), Err(TlsError::Authorities(nothing)));
        let cut = b"-----BEGIN CERTIFICATE-----\nMIIB\n";
        assert_eq!(Tls::new(cut, None), Err(TlsError::Authorities("a PEM section has no end".to_owned())));
        let hollow = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let none = "none of its certificates is well formed".to_owned();
        assert_eq!(Tls::new(hollow, None), Err(TlsError::Authorities(none)));
    }
}
