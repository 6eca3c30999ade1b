//! Just-in-time vendoring: the code of components comes from other places than the commit.
//!
//! [`Declarations`] say which source a component has on a target, a [`Puller`] fetches it into the
//! [`Cache`], whose content is named by its digest and verified on use.

mod address;
mod cache;
mod content;
mod declare;
mod declared;
mod error;
mod index;
mod lock;
mod manifest;
mod names;
mod pull;
mod take;
mod version;

pub use address::Address;
pub use cache::{Cache, Cleaned, Object};
pub use content::{Content, Entry, Kind};
pub use declare::Declarations;
pub use declared::{Declared, Origin};
pub use error::VendorError;
pub use index::{Index, ObjectRow, SourceRow};
pub use lock::{LOCK_FILE, LockFile, LockRow};
pub use pull::{Pulled, Puller};
