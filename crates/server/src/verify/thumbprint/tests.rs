//! Real TLS servers with chains of their own, asked through the fetcher that serves a provider.

use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rstest::rstest;
use rustls::ServerConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::super::fetch::{FetchError, FetchLimits, Fetcher};
use super::*;
use crate::directory::{Keys, Provider};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// What a server sends and signs with.
struct Presented {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

fn named(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

fn beneath(name: &str, above: &Authority) -> Authority {
    CertifiedIssuer::signed_by(authority_params(name), KeyPair::generate().unwrap(), above).unwrap()
}

/// A server's certificate of an authority, with what else is sent behind it.
fn server(params: &CertificateParams, by: &Authority, sent: &[&CertificateDer<'static>]) -> Presented {
    let key = KeyPair::generate().unwrap();
    let issuer: &Issuer<'_, KeyPair> = by;
    let own = params.signed_by(&key, issuer).unwrap();
    let chain = std::iter::once(own.der()).chain(sent.iter().copied()).cloned().collect();
    Presented { chain, key }
}

fn ordinary() -> CertificateParams {
    let mut params = named("server", IsCa::NoCa);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Serves an empty key set over TLS, for ever.
async fn serve(presented: Presented) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key = PrivateKeyDer::try_from(presented.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(presented.chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(async |_: http::Request<Incoming>| {
                    let body = Full::new(Bytes::from_static(br#"{"keys":[]}"#));
                    Ok::<_, std::convert::Infallible>(http::Response::new(body))
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// A provider with these thumbprints, whose keys are fetched from a server.
async fn fetched(presented: Presented, thumbprints: &[String]) -> Result<(), FetchError> {
    let address = serve(presented).await;
    let mut provider = Provider::new("000000000000", "https://idp.example", vec!["app".to_owned()]);
    provider.keys = Keys::Url(format!("https://localhost:{}/jwks", address.port()));
    provider.thumbprints = thumbprints.to_vec();
    let fetcher = Fetcher::new(&provider, FetchLimits::default())?;
    fetcher.keys(&provider).await.map(drop)
}

fn why(error: &FetchError) -> String {
    crate::chain::chain(error)
}

#[tokio::test]
async fn the_thumbprint_of_the_top_authority_is_trusted() {
    let (root, listed) = (authority("root"), |authority: &Authority| vec![thumbprint(authority.der())]);
    let middle = beneath("middle", &root);
    // The root is sent along, or the chain ends with the intermediate: in either case the last one counts.
    let whole = server(&ordinary(), &middle, &[middle.der(), root.der()]);
    fetched(whole, &listed(&root)).await.unwrap();
    let without_root = server(&ordinary(), &middle, &[middle.der()]);
    let capitals = vec!["0".repeat(40), thumbprint(middle.der()).to_uppercase()];
    fetched(without_root, &capitals).await.unwrap();
    let directly = server(&ordinary(), &root, &[root.der()]);
    fetched(directly, &listed(&root)).await.unwrap();
}

#[tokio::test]
async fn a_wrong_thumbprint_is_refused_and_the_right_one_named() {
    let root = authority("root");
    let presented = server(&ordinary(), &root, &[root.der()]);
    let error = fetched(presented, &["0".repeat(40)]).await.unwrap_err();
    assert!(why(&error).contains(&thumbprint(root.der())), "{}", why(&error));
}

/// Another's authority, whose certificate anybody can have, is sent along to pass for the one that signed.
#[tokio::test]
async fn no_certificate_counts_because_it_comes_along() {
    let (honest, evil) = (authority("authority"), authority("authority"));
    let listed = vec![thumbprint(honest.der())];
    let by_evil = |sent: &[&CertificateDer<'static>]| server(&ordinary(), &evil, sent);
    // As the top: the name of the signer is the same, its key is not.
    fetched(by_evil(&[evil.der(), honest.der()]), &listed).await.unwrap_err();
    fetched(by_evil(&[honest.der()]), &listed).await.unwrap_err();
    // Anywhere else: it is not the one that is looked at.
    fetched(by_evil(&[honest.der(), evil.der()]), &listed).await.unwrap_err();
}

/// A thumbprint is the authority's, not the server's: its own certificate, or one in between, does not count.
#[tokio::test]
async fn certificates_beneath_the_top_do_not_count() {
    let root = authority("root");
    let middle = beneath("middle", &root);
    let presented = server(&ordinary(), &middle, &[middle.der(), root.der()]);
    let beneath = vec![thumbprint(&presented.chain[0]), thumbprint(middle.der())];
    fetched(presented, &beneath).await.unwrap_err();
}

/// A server's certificate of the listed authority cannot sign another's.
#[tokio::test]
async fn a_server_is_no_authority() {
    let root = authority("root");
    let server_of_root = CertifiedIssuer::signed_by(ordinary(), KeyPair::generate().unwrap(), &root).unwrap();
    let presented = server(&ordinary(), &server_of_root, &[server_of_root.der(), root.der()]);
    fetched(presented, &[thumbprint(root.der())]).await.unwrap_err();
}

#[rstest]
#[case::another_name(|params: &mut CertificateParams| {
    params.subject_alt_names = CertificateParams::new(vec!["other.example".to_owned()]).unwrap().subject_alt_names;
})]
#[case::ended(|params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1))]
#[case::not_begun(|params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1))]
#[case::for_clients(|params: &mut CertificateParams| {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
})]
#[tokio::test]
async fn a_thumbprint_mends_nothing_else(#[case] spoilt: fn(&mut CertificateParams)) {
    let root = authority("root");
    let mut params = ordinary();
    spoilt(&mut params);
    let presented = server(&params, &root, &[root.der()]);
    fetched(presented, &[thumbprint(root.der())]).await.unwrap_err();
}

/// A chain that a trusted authority signed needs no thumbprint, and wrong ones do not spoil it.
#[tokio::test]
async fn thumbprints_are_only_the_fallback() {
    let (root, crypto) = (authority("root"), Arc::new(default_provider()));
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let system = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&crypto));
    let system: Arc<dyn ServerCertVerifier> = system.build().unwrap();
    let asked = async |presented: Presented| {
        let verifier = ThumbprintVerifier::new(Some(Arc::clone(&system)), &["0".repeat(40)], &crypto);
        let config = verifier.config(Arc::clone(&crypto)).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build().unwrap();
        let address = serve(presented).await;
        client.get(format!("https://localhost:{}/", address.port())).send().await.map(drop)
    };
    asked(server(&ordinary(), &root, &[])).await.unwrap();
    asked(server(&ordinary(), &authority("another"), &[])).await.unwrap_err();
    let mut other_name = ordinary();
    other_name.subject_alt_names.clear();
    asked(server(&other_name, &root, &[root.der()])).await.unwrap_err();
}

/// Own authorities are all that counts: thumbprints, which an API call may set, take nothing away from them.
#[tokio::test]
async fn own_authorities_have_no_fallback() {
    let root = authority("root");
    let address = serve(server(&ordinary(), &root, &[root.der()])).await;
    let mut provider = Provider::new("000000000000", "https://idp.example", vec!["app".to_owned()]);
    provider.keys = Keys::Url(format!("https://localhost:{}/jwks", address.port()));
    provider.thumbprints = vec![thumbprint(root.der())];
    let mut asked = async |own: &Authority| {
        provider.ca_pem = Some(pem(own.der()).into_bytes());
        Fetcher::new(&provider, FetchLimits::default())?.keys(&provider).await.map(drop)
    };
    asked(&root).await.unwrap();
    asked(&authority("another")).await.unwrap_err();
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
