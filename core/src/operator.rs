//! What the operator says, over the head of the application and of its faults.

use std::ffi::OsStr;
use std::time::SystemTime;

use crate::{Error, ErrorKind, Role};

/// The variable of the environment that holds an override.
pub(crate) const VARIABLE: &str = "D365_FAILOVER";

/// Where the operator has calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Override {
    /// Where they are: no fault moves them, as with auto-switch off.
    Off = 1,
    /// To the primary, whatever happens.
    Primary = 2,
    /// To the alternate, whatever happens.
    Alternate = 3,
}

/// Where an override stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverrideSource {
    /// In `D365_FAILOVER`, which is read when a client is opened.
    Environment = 1,
    /// In the store, where running clients hear of it.
    Store = 2,
}

/// An override that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it says.
    pub value: Override,
    /// Where it stands.
    pub source: OverrideSource,
    /// Its end. `None`: none was set.
    pub until: Option<SystemTime>,
}

impl Override {
    const ALL: [Override; 3] = [Override::Off, Override::Primary, Override::Alternate];

    /// `off`, `primary` or `alternate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Override::Off => "off",
            Override::Primary => "primary",
            Override::Alternate => "alternate",
        }
    }

    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Override> {
        Override::ALL.into_iter().find(|each| each.name() == name)
    }

    /// The endpoint that calls are kept at.
    pub(crate) fn pins(self) -> Option<Role> {
        match self {
            Override::Off => None,
            Override::Primary => Some(Role::Primary),
            Override::Alternate => Some(Role::Alternate),
        }
    }
}

impl OverrideSource {
    /// `environment` or `store`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OverrideSource::Environment => "environment",
            OverrideSource::Store => "store",
        }
    }
}

impl Order {
    /// What `D365_FAILOVER` says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for what is none of the three: an operator who has misspelt one
    /// must not believe that it holds.
    pub(crate) fn of_environment(value: Option<&OsStr>) -> Result<Option<Order>, Error> {
        let Some(text) = value.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let value = text.to_str().and_then(Override::named).ok_or_else(|| {
            let shown: String = text.to_string_lossy().chars().take(40).collect();
            let message = format!(
                "{VARIABLE} = {shown:?} in the environment cannot be used; it takes off, primary or \
                 alternate, and unset or empty it says nothing"
            );
            Error::new(ErrorKind::InvalidSetting, message)
        })?;
        Ok(Some(Order {
            value,
            source: OverrideSource::Environment,
            until: None,
        }))
    }

    /// The one that counts: the environment's, whose process was told so by itself; else the store's, until
    /// its end.
    pub(crate) fn in_force(
        environment: Option<Order>,
        store: Option<(Override, Option<SystemTime>)>,
        now: SystemTime,
    ) -> Option<Order> {
        let store = store.filter(|(_, until)| until.is_none_or(|until| now < until));
        environment.or(store.map(|(value, until)| Order {
            value,
            source: OverrideSource::Store,
            until,
        }))
    }

    /// Completes the sentence of an error: what it does, and how it is lifted.
    pub(crate) fn why(self) -> &'static str {
        use Override::{Alternate, Off, Primary};
        match (self.source, self.value) {
            (OverrideSource::Environment, Off) => {
                "the operator has switched auto-switch off (D365_FAILOVER=off in the environment, \
                 which holds until a client is opened without it)"
            }
            (OverrideSource::Environment, Primary) => {
                "the operator keeps calls at the primary (D365_FAILOVER=primary in the environment, \
                 which holds until a client is opened without it)"
            }
            (OverrideSource::Environment, Alternate) => {
                "the operator keeps calls at the alternate (D365_FAILOVER=alternate in the \
                 environment, which holds until a client is opened without it)"
            }
            (OverrideSource::Store, Off) => {
                "the operator has switched auto-switch off (the store's override is off; set_override \
                 lifts it)"
            }
            (OverrideSource::Store, Primary) => {
                "the operator keeps calls at the primary (the store's override is primary; \
                 set_override lifts it)"
            }
            (OverrideSource::Store, Alternate) => {
                "the operator keeps calls at the alternate (the store's override is alternate; \
                 set_override lifts it)"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_one_of_three_or_nothing() {
        let read = |text: &str| Order::of_environment(Some(OsStr::new(text)));
        assert_eq!(Order::of_environment(None).unwrap(), None);
        assert_eq!(read("").unwrap(), None);
        for value in Override::ALL {
            let order = read(value.name()).unwrap().unwrap();
            assert_eq!(order.value, value);
            assert_eq!(order.source, OverrideSource::Environment);
            assert!(
                order
                    .why()
                    .contains(&format!("D365_FAILOVER={}", value.name()))
            );
        }
        for text in ["Primary", "primary ", "on", "0", &"é".repeat(300)] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{text:?}");
            assert!(error.message().starts_with("D365_FAILOVER = "), "{error}");
            assert!(error.message().len() < 400, "{error}");
        }
    }

    #[test]
    fn the_environment_goes_before_the_store_and_that_until_its_end() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(100);
        let second = std::time::Duration::from_secs(1);
        let environment = Order::of_environment(Some(OsStr::new("off"))).unwrap();
        let primary = Override::Primary;
        let in_force = |environment, store| {
            let order = Order::in_force(environment, store, now)?;
            Some((order.value, order.source))
        };
        let (off, store) = (Override::Off, OverrideSource::Store);
        let by_environment = Some((off, OverrideSource::Environment));
        assert_eq!(in_force(None, None), None);
        assert_eq!(in_force(environment, Some((primary, None))), by_environment);
        assert_eq!(
            in_force(None, Some((primary, None))),
            Some((primary, store))
        );
        for (until, holds) in [(now - second, false), (now, false), (now + second, true)] {
            let found = in_force(None, Some((primary, Some(until))));
            assert_eq!(found, holds.then_some((primary, store)));
        }
    }

    #[test]
    fn each_order_says_how_it_is_lifted() {
        for value in Override::ALL {
            let order = Order {
                value,
                source: OverrideSource::Store,
                until: None,
            };
            assert!(order.why().contains("set_override lifts it"));
            assert!(order.why().contains(value.name()));
        }
    }
}
