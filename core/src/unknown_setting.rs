//! What somebody meant who names a setting that there is not.

/// Longer ones are nobody's slip of the hand, and are not compared.
const LONGEST: usize = 64;

/// What is set by a function of its own, which bindings have under these names.
const APART: &[&str] = &["prepare", "token_provider"];

/// What other clients call it, and what there is for it, or the sentence that it is. Names as
/// [`plain`] makes them.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "timeout request_timeout call_timeout total_timeout total max_time",
        r#""deadline_ms", for a whole call, or "attempt_timeout_ms""#,
    ),
    (
        "read_timeout write_timeout socket_timeout response_timeout sock_read read write",
        r#""attempt_timeout_ms""#,
    ),
    (
        "connect connection_timeout sock_connect open_timeout connecttimeout",
        r#""connect_timeout_ms""#,
    ),
    (
        "verify verify_ssl ssl_verify verify_tls ssl tls insecure ssl_context sslcontext check_certificate",
        r#""tls_verify", or "ca_bundle" for a file with authorities"#,
    ),
    (
        "ca cafile ca_file ca_cert ca_certs cacert cacerts trust_store truststore ssl_ca_cert",
        r#""ca_bundle""#,
    ),
    (
        "cert certs client_cert client_certs cert_file certfile ssl_cert keystore",
        r#""client_certificate""#,
    ),
    (
        "key keyfile key_file ssl_key client_cert_key",
        r#""client_key", or the key in the file of "client_certificate""#,
    ),
    (
        "proxies https_proxy http_proxy all_proxy proxy_url trust_env proxy_selector",
        r#""proxy""#,
    ),
    (
        "retries retry max_retries max_retry total_retries attempts tries max_tries retry_count max_attempt",
        r#""max_attempts", which counts the first one too"#,
    ),
    (
        "backoff backoff_factor retry_strategy retry_policy retry_options",
        r#""retry_budget" or "max_attempts""#,
    ),
    (
        "allow_redirects follow_redirects redirects redirect max_redirect follow_location",
        r#""max_redirects""#,
    ),
    (
        "http1 http_version http_2 enable_http2 force_http1",
        r#""http2""#,
    ),
    (
        "limits limit limit_per_host pool_maxsize pool_connections pool_size pool_limits max_pool_size \
         max_keepalive_connections connection_limit connections",
        r#""max_connections""#,
    ),
    (
        "keepalive keep_alive keepalive_timeout keepalive_expiry keep_alive_timeout pool_timeout",
        r#""idle_timeout_ms""#,
    ),
    (
        "max_age connection_ttl ttl max_lifetime ttl_dns_cache",
        r#""max_connection_age_ms""#,
    ),
    (
        "accept_encoding auto_decompress gzip compress compression encoding",
        r#""decompress""#,
    ),
    (
        "resolve resolver hosts dns connector local_address host_map",
        r#""connect_to""#,
    ),
    (
        "max_line_size max_field_size max_header_size max_headers",
        r#""max_response_headers""#,
    ),
    (
        "max_body max_body_size max_size max_content_length read_bufsize",
        r#""max_response_body""#,
    ),
    ("agent useragent client_name", r#""user_agent""#),
    (
        "endpoint_auto_switch_enabled autoswitch auto_failover failover enable_failover",
        r#""auto_switch""#,
    ),
    (
        "secondary_url secondary fallback_url fallback failover_url backup_url alternate alternative_url",
        r#""alternate_url""#,
    ),
    ("mode profile policy", r#""preset""#),
    (
        "auth authorization token tokens access_token bearer bearer_token credential credentials get_token \
         token_source authenticator",
        r#""token_provider", or the header Authorization of each request"#,
    ),
    (
        "tenant tenant_id azure_tenant_id directory_id",
        r#""oauth_tenant""#,
    ),
    (
        "client_id azure_client_id application_id app_id",
        r#""oauth_client_id""#,
    ),
    (
        "client_secret azure_client_secret client_credential app_secret secret password",
        r#""oauth_client_secret""#,
    ),
    (
        "authority authority_host authority_url login_url",
        r#""oauth_authority""#,
    ),
    (
        "ledger ledger_path ledger_file store_path store_file database",
        r#""store""#,
    ),
    (
        "event_hooks hooks hook trace_configs middlewares interceptors interceptor on_request",
        r#""prepare", which is called for each attempt"#,
    ),
    (
        "headers header default_headers cookies cookie cookie_jar cookiejar params query json data content",
        "headers, parameters and bodies are each request's, and the \"prepare\" hook may add to all",
    ),
    (
        "base_url url organization_url endpoint service_url environment_url",
        "the organization's URL is what a client is opened with, the other one is \"alternate_url\"",
    ),
];

/// The end of the sentence "there is no setting …": what was meant, or which there are
/// (`names`).
pub(crate) fn meant(key: &str, names: &[&'static str]) -> String {
    let all = || format!("; there are: {}", names.join(", "));
    let Some(plain) = plain(key) else {
        return all();
    };
    match nearest(&plain, names) {
        Some(Near::Setting(name)) => format!("; the nearest is {name:?}{}", all()),
        Some(Near::Elsewhere(advice)) if advice.starts_with('"') => {
            format!("; there is {advice}{}", all())
        }
        Some(Near::Elsewhere(advice)) => format!("; {advice}{}", all()),
        None => all(),
    }
}

#[derive(Clone, Copy)]
enum Near {
    Setting(&'static str),
    Elsewhere(&'static str),
}

/// In lower case with `_` between words and without the unit, however it was spelled: `maxAttempts`,
/// `MAX-ATTEMPTS`, `deadline_ms`, `deadlineSeconds`.
fn plain(key: &str) -> Option<String> {
    if key.is_empty() || key.len() > LONGEST {
        return None;
    }
    let mut plain = String::new();
    let mut was_small = false;
    for character in key.chars() {
        if character.is_uppercase() && was_small {
            plain.push('_');
        }
        was_small = character.is_lowercase() || character.is_ascii_digit();
        match character {
            '-' | '.' | ' ' => plain.push('_'),
            character => plain.extend(character.to_lowercase()),
        }
    }
    let units = ["_ms", "_millis", "_milliseconds", "_s", "_sec", "_seconds"];
    let unit = units.iter().find_map(|unit| plain.strip_suffix(unit));
    Some(unit.map_or(plain.clone(), str::to_owned))
}

/// The one that differs least: by a third of its letters at most, or by the order of its words.
fn nearest(plain: &str, names: &[&'static str]) -> Option<Near> {
    let sorted = |name: &str| {
        let mut words: Vec<String> = name.split('_').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    let distance = |name: &str| {
        if name != plain && sorted(name) == sorted(plain) {
            return 1;
        }
        strsim::damerau_levenshtein(name, plain)
    };
    let bare = |name: &'static str| name.strip_suffix("_ms").unwrap_or(name);
    let own = names.iter().chain(APART);
    let own = own.map(|name| (bare(name), Near::Setting(name)));
    let elsewhere = ELSEWHERE.iter().flat_map(|(names, advice)| {
        let names = names.split_whitespace();
        names.map(|name| (name, Near::Elsewhere(advice)))
    });
    own.chain(elsewhere)
        .map(|(name, near)| (distance(name), name.len(), near))
        .filter(|(distance, length, _)| distance * 3 <= *length)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., near)| near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn meant(key: &str) -> String {
        super::meant(key, Settings::NAMES)
    }

    #[test]
    fn what_was_meant() {
        for (key, expected) in [
            // Slips of the hand, and other languages' spelling.
            ("deadlin_ms", "the nearest is \"deadline_ms\""),
            ("deadline", "the nearest is \"deadline_ms\""),
            ("deadlineSeconds", "the nearest is \"deadline_ms\""),
            ("maxAttempts", "the nearest is \"max_attempts\""),
            ("MAX-CONECTIONS", "the nearest is \"max_connections\""),
            ("timeout_connect", "the nearest is \"connect_timeout_ms\""),
            ("tokn_provider", "the nearest is \"token_provider\""),
            ("Preset", "the nearest is \"preset\""),
            ("http3", "the nearest is \"http2\""),
            // What other clients have.
            ("timeout", "there is \"deadline_ms\""),
            ("timeout_ms", "there is \"deadline_ms\""),
            ("verify", "there is \"tls_verify\""),
            ("verifySsl", "there is \"tls_verify\""),
            ("cert", "there is \"client_certificate\""),
            ("proxies", "there is \"proxy\""),
            ("max_retries", "there is \"max_attempts\""),
            ("follow_redirects", "there is \"max_redirects\""),
            (
                "headers",
                "; headers, parameters and bodies are each request's",
            ),
            ("tiemout", "there is \"deadline_ms\""),
            ("verfy", "there is \"tls_verify\""),
            ("auth", "there is \"token_provider\""),
            ("client_secret", "there is \"oauth_client_secret\""),
            ("clientId", "there is \"oauth_client_id\""),
            ("tenant_id", "there is \"oauth_tenant\""),
            ("authority", "there is \"oauth_authority\""),
            ("ledger_path", "there is \"store\""),
        ] {
            let meant = meant(key);
            assert!(meant.contains(expected), "{key}: {meant}");
            assert!(
                meant.contains("; there are: allowed_host_headers, "),
                "{meant}"
            );
        }
        let far = [
            "",
            "x",
            "no_such_setting",
            "\u{1F600}",
            "\0",
            &"deadline".repeat(20),
        ];
        for key in far {
            assert!(meant(key).starts_with("; there are: "), "{}", meant(key));
        }
    }

    #[test]
    fn what_is_a_setting_is_nobody_elses_name() {
        for (names, advice) in ELSEWHERE {
            for name in names.split_whitespace() {
                assert_eq!(plain(name).as_deref(), Some(name));
                let is_setting = |key: &&str| plain(key).as_deref() == Some(name);
                assert!(!Settings::NAMES.iter().any(is_setting), "{name}");
            }
            let quoted = advice.split('"').skip(1).step_by(2);
            for key in quoted {
                let mut all = Settings::NAMES.iter().chain(APART);
                assert!(all.any(|name| *name == key), "{key}");
            }
        }
    }
}
