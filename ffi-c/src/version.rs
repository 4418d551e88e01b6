//! Which library this is.

use std::ffi::{CStr, c_char};

/// The number of the ABI that this header describes. See d365_abi_version().
pub const D365_ABI_VERSION: u32 = 1;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the version holds a NUL"),
    };

/// The number of the ABI that the library at hand speaks. A program that finds another number than
/// the D365_ABI_VERSION of its header must not go on.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_abi_version() -> u32 {
    D365_ABI_VERSION
}

/// The version of the library, `"0.1.0"`. Never NULL; static, not to be freed.
#[cfg_attr(feature = "exports", unsafe(no_mangle))]
pub extern "C" fn d365_version() -> *const c_char {
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_that_of_the_package() {
        assert_eq!(super::VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
