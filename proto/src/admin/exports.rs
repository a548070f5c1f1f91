//! Rules of the exports file as the master lists them (wire-admin §4.10).

use std::net::Ipv4Addr;

use super::request::optional_byte;
use crate::list::Text;
use crate::message::{forms, lists};

/// Asks for the exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetExports {
    /// Form of the answer, 0–3; absent: 0.
    pub vmode: Option<u8>,
}

optional_byte! { GetExports = 520 { vmode } }

lists! {
    /// Answer to [`GetExports`], in the order of the file.
    ExportList = 521 of ExportEntry<'a> by ExportForm;
}

/// Fields of an [`ExportEntry`]: the request's number, no more than the master knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExportForm {
    /// The first form.
    V0,
    /// With limits of goal and trash time (1.6.26).
    V1,
    /// With umask (3.0.72).
    V2,
    /// With disabled operations (3.0.112).
    V3,
}

impl ExportForm {
    /// Form of a 3.0.117 master's answer.
    pub fn of_request(request: GetExports) -> ExportForm {
        match request.vmode {
            None | Some(0) => ExportForm::V0,
            Some(1) => ExportForm::V1,
            Some(2) => ExportForm::V2,
            Some(_) => ExportForm::V3,
        }
    }

    fn has_limits(self) -> bool {
        self >= ExportForm::V1
    }

    fn has_umask(self) -> bool {
        self >= ExportForm::V2
    }

    fn has_disables(self) -> bool {
        self >= ExportForm::V3
    }
}

forms! {
    /// A rule.
    ExportEntry<'a> by ExportForm {
        /// First address.
        from: Ipv4Addr,
        /// Last address.
        to: Ipv4Addr,
        /// Exported directory with a leading slash; `.` for the meta file system.
        path: Text<'a>,
        /// Least version of a mount as `x:16 y:8 z:8`, the last number not doubled.
        min_version: u32,
        /// Bit 0: subdirectories may be mounted; bit 1: there is a password.
        extra_flags: u8,
        /// Session flags.
        flags: u8,
        /// Mask of permission bits.
        umask: u16 where has_umask else 0,
        /// User that root becomes.
        root_uid: u32,
        /// Group that root becomes.
        root_gid: u32,
        /// User that all others become.
        mapall_uid: u32,
        /// Group that all others become.
        mapall_gid: u32,
        /// Least goal; 1: not set.
        min_goal: u8 where has_limits else 1,
        /// Greatest goal; 9: not set.
        max_goal: u8 where has_limits else 9,
        /// Least trash time in seconds; 0: not set.
        min_trashtime_s: u32 where has_limits else 0,
        /// Greatest trash time in seconds; `u32::MAX`: not set.
        max_trashtime_s: u32 where has_limits else u32::MAX,
        /// Operations that the session may not do.
        disables: u32 where has_disables else 0,
    }
}
