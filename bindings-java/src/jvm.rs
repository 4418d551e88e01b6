//! What stands round every native method.

use jni::errors::{JniError, ThrowRuntimeExAndDefault};
use jni::objects::JByteArray;
use jni::{Env, EnvUnowned, jni_str};

use crate::failure::Failure;
use crate::packet::Writer;

/// Why a native method has no answer.
pub(crate) enum Stop {
    /// The C ABI refused: goes to Java in the packet.
    Refused(Failure),
    /// The JVM did: goes to Java as an exception.
    Jvm(jni::errors::Error),
    /// A packet that no version of the Java side makes.
    Malformed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Refused(failure)
    }
}

impl From<jni::errors::Error> for Stop {
    fn from(error: jni::errors::Error) -> Stop {
        Stop::Jvm(error)
    }
}

/// The body of every native method that can fail. A panic becomes a `RuntimeException`.
pub(crate) fn answer<'local>(
    mut env: EnvUnowned<'local>,
    body: impl FnOnce(&mut Env<'local>) -> Result<Writer, Stop>,
) -> JByteArray<'local> {
    env.with_env(|env| -> jni::errors::Result<JByteArray<'local>> {
        let packet = match body(env) {
            Ok(packet) => packet,
            Err(Stop::Refused(failure)) => failure.packet(),
            Err(Stop::Jvm(error)) => return Err(error),
            Err(Stop::Malformed) => {
                return Err(jni::errors::Error::ParseFailed(
                    "malformed packet".to_owned(),
                ));
            }
        };
        let array = env.byte_array_from_slice(packet.as_slice());
        array.map_err(|error| no_memory(env, error))
    })
    .resolve::<ThrowRuntimeExAndDefault>()
}

/// A JVM's want of memory is to be seen as what it is: the `jni` crate takes that exception back and gives an error.
fn no_memory(env: &mut Env<'_>, error: jni::errors::Error) -> jni::errors::Error {
    if !matches!(error, jni::errors::Error::JniCall(JniError::NoMemory)) {
        return error;
    }
    let thrown = env.throw_new(
        jni_str!("java/lang/OutOfMemoryError"),
        jni_str!("what the library answers does not fit into the Java heap"),
    );
    thrown.err().unwrap_or(error)
}

/// The body of the native methods that hand out a number: no allocation in the JVM, so that one that is out of memory
/// cannot lose what the number stands for.
pub(crate) fn number(mut env: EnvUnowned<'_>, body: impl FnOnce() -> Result<i64, Failure>) -> i64 {
    env.with_env(|_| body().map_err(|failure| jni::errors::Error::ParseFailed(failure.name())))
        .resolve::<ThrowRuntimeExAndDefault>()
}

/// The body of the native methods that give a handle back: no allocation in the JVM, for cleaner threads.
pub(crate) fn quietly(mut env: EnvUnowned<'_>, body: impl FnOnce()) {
    env.with_env(|_| -> jni::errors::Result<()> {
        body();
        Ok(())
    })
    .resolve::<ThrowRuntimeExAndDefault>();
}

/// The contents of an array.
pub(crate) fn bytes(env: &Env<'_>, array: &JByteArray<'_>) -> Result<Vec<u8>, Stop> {
    Ok(env.convert_byte_array(array)?)
}

/// The contents of an array that may be null.
pub(crate) fn optional_bytes(
    env: &Env<'_>,
    array: &JByteArray<'_>,
) -> Result<Option<Vec<u8>>, Stop> {
    if array.is_null() {
        Ok(None)
    } else {
        bytes(env, array).map(Some)
    }
}
