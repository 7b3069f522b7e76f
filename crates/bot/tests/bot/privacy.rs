//! Secrets stay secret.

use std::{
    io,
    sync::{Arc, Mutex},
};

use rolecall_runtime::{
    config::{LogFormat, TelemetryConfig},
    telemetry,
};
use rolecall_sandbox::discord::{
    demo::{BOT_TOKEN, COUNCIL_ROLE},
    faults::{Fault, FaultKind},
};

use crate::support::{Rig, command};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_token_is_in_no_log_whatever_happens_and_however_much_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let config = TelemetryConfig {
        format: LogFormat::Json,
        filter: "trace".to_owned(),
        otlp_endpoint: None,
    };
    let subscriber = telemetry::subscriber(&config, move || writer.clone()).unwrap();
    tracing::dispatcher::set_global_default(subscriber).unwrap();

    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord.add_fault(
        Fault::new(FaultKind::Drop)
            .path(&format!("/members/{ben}"))
            .times(1),
    );
    rig.discord.add_fault(
        Fault::new(FaultKind::Status { status: 500 })
            .path(&format!("/members/{ben}"))
            .times(1),
    );
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    let (ready, metrics) = (bot.ready().await.to_string(), bot.metrics().await);
    bot.stop().await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("a new gateway session has begun"),
        "nothing was logged"
    );
    for secret in [BOT_TOKEN, "simulated-bot-token"] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
        assert!(!ready.contains(secret) && !metrics.contains(secret));
    }
}
