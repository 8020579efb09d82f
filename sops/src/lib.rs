//! SOPS documents: find, decrypt, check the MAC.
