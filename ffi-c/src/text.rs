//! Text that goes out: a view that is NUL-terminated and lives as long as its object.

use std::ffi::c_char;

use crate::argument::out;
use crate::guard::guard;
use crate::handle::{self, Noun, Tag};
use crate::status::d365_status_t;

/// As the length of a string that comes in: it ends at its NUL.
pub const D365_NTS: usize = usize::MAX;

/// A view of UTF-8 text of the library: `len` bytes at `data`, and a NUL after them that `len` does
/// not count. `data` is never NULL. The text is valid until the handle of the object that it was
/// asked of is freed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct d365_str_t {
    /// The first byte.
    pub data: *const c_char,
    /// The length in bytes, without the NUL.
    pub len: usize,
}

/// Owned text with a NUL after it. It may hold a NUL, since the length is what counts.
#[derive(Debug)]
pub(crate) struct Text(Box<[u8]>);

impl Text {
    pub(crate) fn new(text: impl AsRef<str>) -> Text {
        let text = text.as_ref().as_bytes();
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text);
        bytes.push(0);
        Text(bytes.into_boxed_slice())
    }

    pub(crate) fn view(&self) -> d365_str_t {
        d365_str_t {
            data: self.0.as_ptr().cast(),
            len: self.0.len() - 1,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0[..self.0.len() - 1]).expect("it was made from a str")
    }
}

/// Text that a function made, for the caller to free.
pub struct d365_text_t {
    _opaque: (),
}

impl Noun for d365_text_t {
    type Object = Text;
    const TAG: Tag = Tag::Text;
    const NAME: &'static str = "d365_text_t";
}

/// The text itself. The view is valid until the text is freed.
///
/// Errors: D365_NULL_POINTER, and what can be wrong with a handle.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub unsafe extern "C" fn d365_text_view(
    text: *const d365_text_t,
    view: *mut d365_str_t,
) -> d365_status_t {
    guard(|| {
        let text = handle::get(text)?;
        // SAFETY: NULL or the caller's variable.
        unsafe { out(view, "view") }?.set(text.view());
        Ok(())
    })
}

/// Frees a text and ends its view. NULL is fine.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_text_free(text: *mut d365_text_t) -> d365_status_t {
    guard(|| handle::remove(text).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_view_is_terminated_and_counts_bytes() {
        let text = Text::new("grün");
        let view = text.view();
        assert_eq!(view.len, 5);
        // SAFETY: `text` is alive and NUL-terminated.
        assert_eq!(unsafe { CStr::from_ptr(view.data) }.to_str(), Ok("grün"));
        assert_eq!(text.as_str(), "grün");
    }

    #[test]
    fn a_view_of_nothing_is_an_empty_string_not_null() {
        let text = Text::new("");
        assert_eq!(text.view().len, 0);
        assert!(!text.view().data.is_null());
    }

    #[test]
    fn a_nul_inside_is_kept() {
        assert_eq!(Text::new("a\0b").view().len, 3);
    }

    #[test]
    fn a_view_outlives_everything_but_its_handle() {
        let handle = handle::insert::<d365_text_t>(Text::new("still here"))
            .ok()
            .unwrap();
        let mut view = d365_str_t {
            data: std::ptr::null(),
            len: 0,
        };
        // SAFETY: local variables; the view is read before the handle is freed.
        let read = unsafe {
            assert_eq!(d365_text_view(handle, &raw mut view), 0);
            CStr::from_ptr(view.data).to_str().unwrap().to_owned()
        };
        assert_eq!(read, "still here");
        assert_eq!(d365_text_free(handle), 0);
    }
}
