//! `run --interval`: probes, metrics, and a clean stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use crate::world::{App, World, events, sealift, values};

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[test]
fn cycles_go_on_until_a_signal_and_the_journal_ends_in_order() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let image = "registry.test/acme/shop";
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(image, "1.8.2"))]);
    world.app(&App::helm(
        "shop",
        "registry.test/acme/shop:1.x",
        &[],
        &repository,
    ));
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut child = sealift()
        .args(["run", "--interval", "100ms", "--allow-local-git", "-f"])
        .arg(world.apps())
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .args(["--health-probe-bind-address", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ready = |text: Option<String>| text.is_some_and(|text| text.starts_with("HTTP/1.1 200"));
    let mut waited = 0;
    while !ready(get(port, "/readyz")) {
        waited += 1;
        assert!(waited < 600, "the program does not become ready");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(get(port, "/healthz").unwrap().ends_with("OK"));
    let metrics = get(port, "/metrics").unwrap();
    let line = "sealift_decisions_total{decision=\"updated\",reason=\"newest\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let host = metrics.lines().find_map(|line| {
        let labels = line.strip_prefix("argocd_image_updater_registry_requests_total{")?;
        labels.split_once("} ").map(|(_, count)| count.to_owned())
    });
    assert!(host.is_some_and(|count| count != "0"), "{metrics}");
    assert!(
        metrics.contains("argocd_image_updater_k8s_api_requests_total 0"),
        "{metrics}"
    );
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let last = events(&world.path("state"), &[]).pop().unwrap();
    assert_eq!(last["kind"], "stopped");
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(image, "1.9.0")
    );
}

#[test]
fn what_failed_is_a_line_of_the_log_with_its_application_and_reason() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository(
        "gitops",
        &[(
            "shop/values.yaml",
            &values("registry.test/acme/shop", "1.8.2"),
        )],
    );
    let annotations = [("write-back-method", "git:secret:argocd/gitops-token")];
    world.app(&App {
        annotations: &annotations,
        ..App::helm("shop", "registry.test/acme/shop:1.x", &[], &repository)
    });
    let mut child = sealift()
        .args(["run", "--interval", "1h", "--allow-local-git", "-f"])
        .arg(world.apps())
        .args(["-f", "/nonexistent/apps", "--registries-conf-path"])
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .args(["--health-probe-bind-address", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut log = Vec::new();
    while !log
        .last()
        .is_some_and(|line: &String| line.contains("Processing results"))
    {
        log.push(lines.next().unwrap().unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = log.join("\n");
    let said = |words: &str| {
        let line = log.lines().find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("no `{words}`: {log}"))
    };
    let secret = said("Secret `argocd/gitops-token`");
    for part in [
        "level=error",
        "application=argocd/shop",
        "reason=credential-unavailable",
    ] {
        assert!(secret.contains(part), "{secret}");
    }
    let folder = said("level=error msg=\"cannot be read: No such file");
    assert!(folder.contains("subject=/nonexistent/apps"), "{folder}");
}
