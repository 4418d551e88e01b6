//! The rule of the pair, and what a request's URL means: the base URL, and after a line break the
//! URL of a request.
#![no_main]

use d365_failover_core::{
    AllowedHost, Organization, Role, UrlForm, alternate_url, is_alternate_url, primary_url,
};
use libfuzzer_sys::fuzz_target;

const ROLES: [Role; 2] = [Role::Primary, Role::Alternate];

fuzz_target!(|input: &str| {
    let (base, url) = input.split_once('\n').unwrap_or((input, input));
    if let Ok(alternate) = alternate_url(base) {
        let primary = primary_url(base).expect("both directions refuse the same");
        assert_ne!(primary, alternate);
        assert_eq!(primary_url(&alternate).unwrap(), primary);
        assert_eq!(alternate_url(&primary).unwrap(), alternate);
        assert!(is_alternate_url(&alternate).unwrap());
        assert!(!is_alternate_url(&primary).unwrap());
    }
    let allowed = AllowedHost::parse_list(url).unwrap_or_default();
    let explicit = Organization::new(base, Some("https://dr.example/a"), None);
    let by_rule = [None, Some(UrlForm::Host), Some(UrlForm::Path)];
    let by_rule = by_rule.map(|form| Organization::new(base, None, form));
    for organization in by_rule.into_iter().chain([explicit]).flatten() {
        assert_ne!(
            organization.url(Role::Primary),
            organization.url(Role::Alternate)
        );
        for role in ROLES {
            organization
                .locate(organization.url(role))
                .expect("its own");
        }
        let organization = organization.with_allowed_hosts(allowed.clone());
        let Ok(target) = organization.locate(url) else {
            continue;
        };
        for role in ROLES {
            let there = organization.url_of(&target, role);
            let again = organization.locate(there.as_str()).expect("its own");
            assert_eq!(organization.url_of(&again, role), there);
            // A URL of the pair stays one, and a foreign one stays as it is.
            assert_eq!(again.foreign().is_none(), target.foreign().is_none());
            assert!(target.foreign().is_none_or(|foreign| *foreign == there));
        }
    }
});
