//! Which redirects are followed. Only those that leave the request what it is: what a browser does
//! to a POST, sending a GET in its place, would make a write vanish in silence.

use http::{Method, StatusCode};

/// Whether a redirect keeps method and body (RFC 9110, 15.4), or the method is one that has none
/// to lose.
pub(crate) fn keeps_the_request(method: &Method, status: u16) -> bool {
    let is_plain = *method == Method::GET || *method == Method::HEAD;
    match StatusCode::from_u16(status) {
        Ok(StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) => true,
        Ok(StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER) => is_plain,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let table = [
            (301, true, false),
            (302, true, false),
            (303, true, false),
            (307, true, true),
            (308, true, true),
            (300, false, false),
            (304, false, false),
            (305, false, false),
            (200, false, false),
        ];
        for (status, plain, other) in table {
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(
                    keeps_the_request(&method, status),
                    plain,
                    "{method} {status}"
                );
            }
            for method in [Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS] {
                assert_eq!(
                    keeps_the_request(&method, status),
                    other,
                    "{method} {status}"
                );
            }
        }
    }
}
