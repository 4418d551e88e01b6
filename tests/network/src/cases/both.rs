//! Neither endpoint can be reached: one retry, as in .NET, and then the error says so.

use std::time::{Duration, Instant};

use d365_failover_core::{Cause, Client, Effect, ErrorKind, FaultKind, Phase, Role};

use crate::dns::Answer;
use crate::firewall::Rules;
use crate::stage::{Scene, Stage, create};

/// The times of two attempts, and room.
const NO_HANG: Duration = Duration::from_secs(15);

/// Each call is tried at both, beginning where the last one has left off.
fn fails_at_both(scene: &Scene<'_>, client: &Client, cause: Cause) {
    for (epoch, roles) in [
        [Role::Primary, Role::Alternate],
        [Role::Alternate, Role::Primary],
    ]
    .iter()
    .enumerate()
    {
        let begun = Instant::now();
        let error = client.send(&create()).unwrap_err();
        assert!(begun.elapsed() < NO_HANG);
        assert_eq!(error.kind(), ErrorKind::Call(FaultKind::EndpointNotFound));
        assert_eq!(error.effect(), Effect::NotExecuted);
        assert!(error.switched());
        let message = error.message();
        assert!(message.contains("(attempt 2)"), "{message}");
        assert!(message.contains(&scene.url(roles[1])), "{message}");
        assert_eq!(error.attempts().len(), 2, "{error}");
        for (number, attempt) in error.attempts().iter().enumerate() {
            assert_eq!(attempt.role, Some(roles[number]));
            assert_eq!(attempt.epoch, (epoch + number) as u64);
            assert_eq!(attempt.phase, Phase::NotSent);
            assert_eq!(attempt.fault.as_ref().unwrap().cause, cause);
        }
    }
    assert_eq!(scene.org.rows().len(), 0);
}

pub(super) fn neither_name_exists(stage: &Stage) {
    let scene = stage.scene();
    let client = scene.client();
    for role in [Role::Primary, Role::Alternate] {
        scene.name(role, Answer::NoSuchName);
    }
    fails_at_both(&scene, &client, Cause::NoSuchName);
}

pub(super) fn both_are_black_holes(stage: &Stage) {
    let scene = stage.scene();
    let client = scene.client();
    let ports = [scene.org.primary.port(), scene.org.alternate.port()];
    let rules = ports.map(|port| format!("tcp dport {port} drop"));
    let _rules = Rules::new(rules.iter().map(|rule| &**rule));
    fails_at_both(&scene, &client, Cause::ConnectTimeout);
}
