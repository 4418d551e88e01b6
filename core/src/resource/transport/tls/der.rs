//! As much of DER (X.690) as a certificate and a key are looked into with: what webpki takes a certificate apart
//! for, it does not show.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OID: u8 = 0x06;
pub(super) const OCTET_STRING: u8 = 0x04;
const BOOLEAN: u8 = 0x01;
pub(super) const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;
const EXTENSIONS: u8 = 0xa3;
const VERSION: u8 = 0xa0;

/// Object identifiers, by their content.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
pub(super) const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// digitalSignature, keyEncipherment, keyAgreement: what a server's key does.
const USAGES_OF_A_SERVER: u8 = 0x80 | 0x20 | 0x08;
/// keyCertSign.
const USAGE_OF_AN_AUTHORITY: u8 = 0x04;

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element of some bytes, and what follows it.
    pub(super) fn first(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x84 => {
                let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                let add = |length, byte: &u8| (length << 8) | usize::from(*byte);
                (long.iter().fold(0, add), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &bytes[..bytes.len() - after.len()];
        let element = Element {
            tag,
            content,
            whole,
        };
        Some((element, after))
    }

    /// The elements within, as far as they can be told apart.
    pub(super) fn parts(self) -> impl Iterator<Item = Element<'a>> + Clone {
        elements(self.content)
    }

    /// The elements within, if there is nothing else.
    pub(super) fn all_parts(self) -> Option<Vec<Element<'a>>> {
        let parts: Vec<_> = self.parts().collect();
        let length: usize = parts.iter().map(|part| part.whole.len()).sum();
        (length == self.content.len()).then_some(parts)
    }
}

fn elements<'a>(bytes: &'a [u8]) -> impl Iterator<Item = Element<'a>> + Clone {
    let mut bytes = bytes;
    std::iter::from_fn(move || {
        let (element, rest) = Element::first(bytes)?;
        bytes = rest;
        Some(element)
    })
}

/// The key that PKCS #8 wraps, in the form of its kind (RFC 5958, 2): after version and algorithm.
pub(crate) fn in_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (whole, _) = Element::first(der)?;
    let key = whole.parts().nth(2)?;
    (key.tag == OCTET_STRING).then_some(key.content)
}

/// A certificate, as far as it is looked into here.
pub(super) struct Certificate<'a> {
    /// Older than extensions are.
    is_v1: bool,
    issuer: Element<'a>,
    subject: Element<'a>,
    extensions: Option<Element<'a>>,
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let (whole, _) = Element::first(der)?;
        let body = whole.parts().next()?;
        // Serial number and algorithm stand before the issuer, the validity after it.
        let is_v1 = body.parts().next()?.tag != VERSION;
        let mut parts = body.parts().skip_while(|part| part.tag == VERSION);
        let issuer = parts.nth(2)?;
        let subject = parts.nth(1)?;
        let extensions = parts.find(|part| part.tag == EXTENSIONS);
        Some(Certificate {
            is_v1,
            issuer,
            subject,
            extensions,
        })
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer.whole == self.subject.whole
    }

    /// Who has issued it, for a sentence.
    pub(super) fn issuer(&self) -> Option<String> {
        [COMMON_NAME, ORGANIZATION]
            .iter()
            .find_map(|wanted| name(self.issuer, wanted))
    }

    /// Whether its own words on what its key is for, if there are any, have servers among it.
    pub(super) fn is_for_servers(&self) -> bool {
        let extended = self.extension(EXTENDED_KEY_USAGE).is_none_or(|value| {
            Element::first(value).is_some_and(|(list, _)| names_one(list, &[SERVER_AUTH]))
        });
        self.is_key_for(USAGES_OF_A_SERVER) && extended
    }

    /// Whether it may have issued others: it says so, or is of a version that cannot say.
    pub(super) fn is_authority(&self) -> bool {
        let says_so = self.extension(BASIC_CONSTRAINTS).is_some_and(|value| {
            let first = Element::first(value).and_then(|(list, _)| list.parts().next());
            first.is_some_and(|first| first.tag == BOOLEAN && first.content == [0xff])
        });
        self.is_v1 || says_so && self.is_key_for(USAGE_OF_AN_AUTHORITY)
    }

    /// Whether its key is for one of these usages, if it says what it is for.
    fn is_key_for(&self, usages: u8) -> bool {
        self.extension(KEY_USAGE).is_none_or(|value| {
            let bits = Element::first(value).filter(|(bits, _)| bits.tag == BIT_STRING);
            bits.and_then(|(bits, _)| bits.content.get(1).copied())
                .is_some_and(|bits| bits & usages != 0)
        })
    }

    fn extension(&self, wanted: &[u8]) -> Option<&'a [u8]> {
        let list = self.extensions?.parts().next()?;
        list.parts().find_map(|extension| {
            let mut parts = extension.parts();
            let is_wanted = parts.next().is_some_and(|id| id.content == wanted);
            let value = parts.find(|part| part.tag == OCTET_STRING)?;
            is_wanted.then_some(value.content)
        })
    }
}

/// Whether a list of object identifiers has one of these.
pub(super) fn names_one(list: Element<'_>, wanted: &[&[u8]]) -> bool {
    list.parts()
        .any(|id| id.tag == OID && wanted.contains(&id.content))
}

/// The value of an attribute of a distinguished name.
fn name(names: Element<'_>, wanted: &[u8]) -> Option<String> {
    let mut attributes = names.parts().flat_map(Element::parts);
    attributes.find_map(|attribute| {
        let mut parts = attribute.parts();
        let is_wanted = parts.next().is_some_and(|id| id.content == wanted);
        let value = parts.next()?;
        is_wanted.then(|| shown(value.content))
    })
}

/// A text out of a certificate, which anybody may have made, for a sentence.
fn shown(text: &[u8]) -> String {
    const LONGEST: usize = 100;
    String::from_utf8_lossy(text)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect()
}
