//! Whom a connection believes.

use sealift_net::{NetError, Tls};
use sealift_testkit::registry::scripted::ScriptedRegistry;

use super::{net, send};

pub(crate) fn trusting(registry: &ScriptedRegistry) -> Tls {
    Tls {
        extra_roots_pem: vec![registry.ca_pem().unwrap().as_bytes().to_vec()],
        insecure: false,
    }
}

#[tokio::test]
async fn an_extra_root_is_believed_and_without_it_the_server_is_not() {
    let registry = ScriptedRegistry::start_tls().await;
    let url = format!("{}/v2/", registry.url());
    let client = net().client(&trusting(&registry)).unwrap();
    assert_eq!(send(&client, &url).await.unwrap().status, 200);

    let net = net();
    let error = send(&net.client(&Tls::default()).unwrap(), &url)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            NetError::Connect {
                transient: false,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(net.counts().retries, 0, "a wrong certificate stays wrong");

    let other = ScriptedRegistry::start_tls().await;
    let client = net.client(&trusting(&other)).unwrap();
    assert!(send(&client, &url).await.is_err());
}

#[tokio::test]
async fn certificates_go_unchecked_only_where_configured() {
    let registry = ScriptedRegistry::start_tls().await;
    let tls = Tls {
        insecure: true,
        ..Tls::default()
    };
    let client = net().client(&tls).unwrap();
    let url = format!("{}/v2/", registry.url());
    assert_eq!(send(&client, &url).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_unreadable_ca_is_an_error_and_no_fall_back() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", broken] {
        let tls = Tls {
            extra_roots_pem: vec![pem.as_bytes().to_vec()],
            insecure: false,
        };
        assert!(
            matches!(net().client(&tls), Err(NetError::Setup { .. })),
            "{pem}"
        );
    }
}
