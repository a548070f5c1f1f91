//! mfschunkserver and mfschunktool: disks, data, checksums.
