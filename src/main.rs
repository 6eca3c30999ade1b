//! The `atmos` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
    look_up_names_alone();
    atmos_deployments::cli::run(std::env::args_os(), std::env::vars_os())
}

/// Has the C library that is built in look up hosts and users in files and with DNS, whatever
/// else `nsswitch.conf` names: it would load modules that were made for another C library,
/// the system's, and crash in them.
#[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
#[allow(unsafe_code, reason = "there is no other way to tell the C library")]
fn look_up_names_alone() {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        /// `<nss.h>`: the services that a database is asked from, in the
        /// form of a line of `nsswitch.conf`.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    for (database, services) in [(c"hosts", c"files dns"), (c"passwd", c"files")] {
        // SAFETY: both are texts that end with a zero byte and are never
        // changed; there is no other thread yet.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}
