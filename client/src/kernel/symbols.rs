//! Addresses of kernel symbols, which change from boot to boot (KASLR).

use std::io;

/// Where the kernel lists its symbols.
pub const KALLSYMS: &str = "/proc/kallsyms";

/// The address of a symbol of the kernel proper; none where it does not exist or addresses are hidden from us
/// (`kernel.kptr_restrict`).
///
/// # Errors
/// When the list cannot be read.
pub fn address(name: &str) -> io::Result<Option<u64>> {
    find(io::BufReader::new(std::fs::File::open(KALLSYMS)?), name)
}

fn find(symbols: impl io::BufRead, name: &str) -> io::Result<Option<u64>> {
    for line in symbols.lines() {
        let line = line?;
        let mut fields = line.split_ascii_whitespace();
        let address = fields.next();
        // A fourth field would be the module's name.
        if fields.nth(1) == Some(name) && fields.next().is_none() {
            let address = address.and_then(|address| u64::from_str_radix(address, 16).ok());
            return Ok(address.filter(|&address| address != 0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_modules_and_hidden_addresses_do_not_count() {
        let list = "ffffffff81000000 T _stext\nffffffffc0000000 t vfs_read\t[mod]\nffffffff81000010 T vfs_read\n";
        let find = |list: &str, name| find(list.as_bytes(), name).expect("a list");
        assert_eq!(find(list, "_stext"), Some(0xffff_ffff_8100_0000));
        assert_eq!(find(list, "vfs_read"), Some(0xffff_ffff_8100_0010));
        assert_eq!(find(list, "_etext"), None);
        assert_eq!(find("0000000000000000 T _stext\n", "_stext"), None);
    }
}
