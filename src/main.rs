//! The `atmos` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
    look_up_names_alone();
    atmos_deployments::cli::run(std::env::args_os(), std::env::vars_os())
}

/// Restricts the statically linked C library to files and DNS for hosts and users, whatever else
/// `nsswitch.conf` names: it would load modules that were built for the system's C library, and
/// crash in them.
#[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
#[allow(unsafe_code, reason = "there is no other way to tell the C library")]
fn look_up_names_alone() {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        /// Declared in `<nss.h>`: sets the services of a database, in the notation of
        /// `nsswitch.conf`.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    for (database, services) in [(c"hosts", c"files dns"), (c"passwd", c"files")] {
        // SAFETY: both are texts that end with a zero byte and are never changed; no other thread
        // exists yet.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}
