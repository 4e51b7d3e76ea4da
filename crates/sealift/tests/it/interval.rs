//! `run --interval`: probes, metrics, and a clean stop.

use std::io::{Read as _, Write as _};
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
