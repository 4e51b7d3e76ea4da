//! How each real server of a private Sigstore is started, on loopback.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::issuer::TokenIssuer;
use super::process::{Server, free_address};
use super::{EMAIL_ISSUER, GITHUB_ISSUER, LOG, Tools};

pub(super) fn fulcio(
    tools: &Tools,
    folder: &Path,
    address: SocketAddr,
    issuer: &TokenIssuer,
    ct_log: &str,
) -> Server {
    fs::write(folder.join("tls-root.crt"), issuer.ca_pem()).expect("tls-root.crt");
    // A comment keeps Fulcio from reading the file as its older JSON form, which has other names.
    let config = format!("# YAML\n{}\n", fulcio_configuration());
    fs::write(folder.join("fulcio.yaml"), config).expect("fulcio.yaml");
    let (grpc, metrics) = (free_address(), free_address());
    let mut command = Command::new(tools.path("fulcio"));
    command.arg("serve");
    listen(&mut command, ["host", "port"], address);
    listen(&mut command, ["grpc-host", "grpc-port"], grpc);
    command.arg(format!("--metrics-port={}", metrics.port()));
    // An abstract name: a path would stay behind and block the next start.
    let socket = format!("@sealift-fulcio-{}", address.port());
    command.arg(format!("--legacy-unix-domain-socket={socket}"));
    command.args(["--ca=fileca", "--fileca-cert=fulcio-chain.pem"]);
    command.args(["--fileca-key=fulcio-int.key", "--fileca-key-passwd="]);
    command.args(["--fileca-watch=false", "--config-path=fulcio.yaml"]);
    command.arg(format!("--ct-log-url={ct_log}"));
    command.arg("--ct-log-public-key-path=ct.pub");
    // The issuers' hosts are real names; our issuer answers for them as a proxy.
    command.env("HTTPS_PROXY", format!("http://{}", issuer.address()));
    command.env("NO_PROXY", "127.0.0.1,localhost");
    command.env("SSL_CERT_FILE", folder.join("tls-root.crt"));
    Server::start("fulcio", command, folder, address)
}

pub(super) fn rekor(tools: &Tools, folder: &Path, address: SocketAddr) -> Server {
    let (grpc, metrics) = (free_address(), free_address());
    let mut command = Command::new(tools.path("rekor"));
    command.args(["serve", "--hostname", LOG]);
    listen(&mut command, ["http-address", "http-port"], address);
    listen(&mut command, ["grpc-address", "grpc-port"], grpc);
    command.arg(format!("--http-metrics-port={}", metrics.port()));
    command.args([
        "--storage-dir=rekor",
        "--signer-filepath=rekor.key",
        "--signer-password=",
    ]);
    // The least it takes; the default of ten seconds is what every signature would wait.
    command.args(["--checkpoint-interval=100ms", "--batch-max-age=20ms"]);
    Server::start("rekor", command, folder, address)
}

pub(super) fn timestamp(tools: &Tools, folder: &Path, address: SocketAddr) -> Server {
    let mut command = Command::new(tools.path("timestamp"));
    command.arg("serve");
    listen(&mut command, ["host", "port"], address);
    command.args([
        "--timestamp-signer=file",
        "--file-signer-key-path=tsa-leaf.key",
    ]);
    command.args([
        "--certificate-chain-path=tsa-chain.pem",
        "--disable-ntp-monitoring",
    ]);
    Server::start("timestamp", command, folder, address)
}

fn listen(command: &mut Command, [host, port]: [&str; 2], address: SocketAddr) {
    command.arg(format!("--{host}={}", address.ip()));
    command.arg(format!("--{port}={}", address.port()));
}

/// Claims of GitHub's tokens as extensions of a certificate. Fulcio, `docs/oidc.md` and
/// `docs/oid-info.md`.
fn fulcio_configuration() -> Value {
    let run = "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}";
    json!({
        "oidc-issuers": {
            GITHUB_ISSUER: {
                "issuer-url": GITHUB_ISSUER, "client-id": "sigstore",
                "type": "ci-provider", "ci-provider": "github-workflow",
            },
            EMAIL_ISSUER: {
                "issuer-url": EMAIL_ISSUER, "client-id": "sigstore", "type": "email",
            },
        },
        "ci-issuer-metadata": { "github-workflow": {
            "default-template-values": { "url": "https://github.com" },
            "extension-templates": {
                "github-workflow-trigger": "event_name",
                "github-workflow-sha": "sha",
                "github-workflow-name": "workflow",
                "github-workflow-repository": "repository",
                "github-workflow-ref": "ref",
                "build-signer-uri": "{{ .url }}/{{ .job_workflow_ref }}",
                "build-signer-digest": "job_workflow_sha",
                "runner-environment": "runner_environment",
                "source-repository-uri": "{{ .url }}/{{ .repository }}",
                "source-repository-digest": "sha",
                "source-repository-ref": "ref",
                "source-repository-identifier": "repository_id",
                "source-repository-owner-uri": "{{ .url }}/{{ .repository_owner }}",
                "source-repository-owner-identifier": "repository_owner_id",
                "build-config-uri": "{{ .url }}/{{ .workflow_ref }}",
                "build-config-digest": "workflow_sha",
                "build-trigger": "event_name",
                "run-invocation-uri": run,
                "source-repository-visibility-at-signing": "repository_visibility",
                "subject": "sub",
            },
            "subject-alternative-name-template": "{{ .url }}/{{ .job_workflow_ref }}",
        } },
    })
}
