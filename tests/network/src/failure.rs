//! What a failure of the network must look like to an application, with auto-switch off and on.

use d365_failover_core::{
    Attempt, AutoSwitch, Cause, Client, Effect, Error, ErrorKind, FaultKind, Phase, Request,
    Response, Role, Settings,
};

use crate::stage::{Scene, Stage, create};

/// One row of the table of facts: what a write that meets the failure at the primary is told.
pub(crate) struct Failure {
    kind: FaultKind,
    cause: Cause,
    phase: Phase,
    effect: Effect,
    switches: bool,
    settings: fn(&Scene<'_>, &mut Settings),
}

impl Failure {
    /// Before a byte of the request has left.
    pub(crate) const fn unsent(kind: FaultKind, cause: Cause, switches: Switches) -> Failure {
        Failure {
            kind,
            cause,
            phase: Phase::NotSent,
            effect: Effect::NotExecuted,
            switches: matches!(switches, Switches::Yes),
            settings: |_, _| (),
        }
    }

    /// After the request was sent, and before anything was answered.
    pub(crate) const fn sent(kind: FaultKind, cause: Cause, switches: Switches) -> Failure {
        Failure {
            phase: Phase::Sent,
            effect: Effect::Unknown,
            ..Failure::unsent(kind, cause, switches)
        }
    }

    /// With these settings.
    pub(crate) const fn with(self, settings: fn(&Scene<'_>, &mut Settings)) -> Failure {
        Failure { settings, ..self }
    }

    /// Lets a write meet the failure, which `act` makes at the primary, with auto-switch off and
    /// on. A new organization for each.
    pub(crate) fn is_shown(
        &self,
        stage: &Stage,
        act: impl Fn(&Scene<'_>, &Client, &Request) -> Result<Response, Error>,
    ) {
        for auto_switch in [AutoSwitch::Off, AutoSwitch::On] {
            self.is_shown_with(auto_switch, stage, &act);
        }
    }

    /// The same, with one of the two only.
    pub(crate) fn is_shown_with(
        &self,
        auto_switch: AutoSwitch,
        stage: &Stage,
        act: impl Fn(&Scene<'_>, &Client, &Request) -> Result<Response, Error>,
    ) {
        let scene = stage.scene();
        let mut settings = scene.settings(auto_switch);
        (self.settings)(&scene, &mut settings);
        let client = Client::open(&settings).unwrap();
        let result = act(&scene, &client, &create());
        if auto_switch == AutoSwitch::On && self.switches {
            self.is_left(&scene, &client, &result.unwrap());
        } else {
            self.is_told(&scene, &client, &result.unwrap_err());
        }
    }

    /// The call ended with the failure, and nothing has moved.
    fn is_told(&self, scene: &Scene<'_>, client: &Client, error: &Error) {
        assert_eq!(error.kind(), ErrorKind::Call(self.kind), "{error}");
        assert_eq!(error.fault().unwrap().cause, self.cause, "{error}");
        assert_eq!(error.effect(), self.effect, "{error}");
        assert!(!error.switched(), "{error}");
        assert_eq!(error.attempts().len(), 1, "{error}");
        self.is_of(&error.attempts()[0]);
        assert!(client.is_primary());
        assert_eq!(scene.org.alternate.counts().connections, 0);
        if self.effect == Effect::NotExecuted {
            assert_eq!(scene.org.rows().len(), 0, "{error}");
        }
    }

    /// The call went on at the alternate, which has executed it.
    fn is_left(&self, scene: &Scene<'_>, client: &Client, response: &Response) {
        let attempts = response.attempts();
        assert_eq!(response.status(), 204, "{attempts:?}");
        assert_eq!(response.effect(), Effect::Executed);
        assert!(response.switched());
        assert!(response.url().starts_with(&scene.url(Role::Alternate)));
        assert_eq!(attempts.len(), 2, "{attempts:?}");
        self.is_of(&attempts[0]);
        assert_eq!(
            (attempts[1].role, attempts[1].epoch),
            (Some(Role::Alternate), 1)
        );
        assert!(attempts[1].fault.is_none());
        assert!(!client.is_primary());
        assert_eq!(scene.org.alternate.counts().creates, 1);
        if self.effect == Effect::NotExecuted {
            assert_eq!(scene.org.rows().len(), 1);
        }
    }

    fn is_of(&self, attempt: &Attempt) {
        let fault = attempt.fault.as_ref().unwrap();
        assert_eq!((attempt.role, attempt.epoch), (Some(Role::Primary), 0));
        assert_eq!((fault.kind, fault.cause), (self.kind, self.cause));
        assert_eq!(attempt.phase, self.phase, "{fault:?}");
        assert_eq!(attempt.http_status, None);
    }
}

/// Whether the failure moves the client to the alternate.
#[derive(Clone, Copy)]
pub(crate) enum Switches {
    Yes,
    No,
}
