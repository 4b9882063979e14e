//! Numbers of the instruction set, of map types and of helpers, as include/uapi/linux/bpf.h and bpf_common.h spell them.

/// Instruction classes.
pub mod class {
    #![allow(missing_docs)]
    pub const LD: u8 = 0x00;
    pub const LDX: u8 = 0x01;
    pub const ST: u8 = 0x02;
    pub const STX: u8 = 0x03;
    pub const ALU: u8 = 0x04;
    pub const JMP: u8 = 0x05;
    pub const ALU64: u8 = 0x07;
}

/// Modes of loads and stores.
pub mod mode {
    #![allow(missing_docs)]
    pub const IMM: u8 = 0x00;
    pub const MEM: u8 = 0x60;
    pub const ATOMIC: u8 = 0xc0;
}

/// Whether the second operand is a register (`BPF_X`) or the immediate (0, `BPF_K`).
pub const SOURCE_REGISTER: u8 = 0x08;

/// `BPF_FETCH`, with the operation in an atomic's immediate.
pub const FETCH: i32 = 0x01;

/// `BPF_XCHG`: puts a register into memory, and what was there into the register.
pub const EXCHANGE: i32 = 0xe1;

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Alu {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    Div = 0x30,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    Neg = 0x80,
    Mod = 0x90,
    Xor = 0xa0,
    Mov = 0xb0,
    Arsh = 0xc0,
    End = 0xd0,
}

/// Conditions of jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Jump {
    Always = 0x00,
    Eq = 0x10,
    Gt = 0x20,
    Ge = 0x30,
    Ne = 0x50,
    Sgt = 0x60,
    Sge = 0x70,
    Call = 0x80,
    Exit = 0x90,
    Lt = 0xa0,
    Le = 0xb0,
    Slt = 0xc0,
    Sle = 0xd0,
    /// `BPF_JCOND`: with 0 as the source register, `may_goto`.
    May = 0xe0,
}

/// Sizes of memory operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Size {
    W = 0x00,
    H = 0x08,
    B = 0x10,
    Dw = 0x18,
}

/// Map types and flags.
pub mod map {
    #![allow(missing_docs)]
    pub const HASH: u32 = 1;
    pub const ARRAY: u32 = 2;
    pub const PERCPU_HASH: u32 = 5;
    pub const PERCPU_ARRAY: u32 = 6;
    pub const LRU_HASH: u32 = 9;
    pub const LRU_PERCPU_HASH: u32 = 10;
    pub const RINGBUF: u32 = 27;
    pub const F_MMAPABLE: u32 = 1 << 10;
    pub const UPDATE_ANY: i64 = 0;
    pub const UPDATE_NOEXIST: i64 = 1;
    pub const RB_FORCE_WAKEUP: i64 = 2;
}

/// `-EEXIST`
pub const EEXIST: i32 = -17;

/// Functions of the kernel that a program may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Helper {
    MapLookupElem = 1,
    MapUpdateElem = 2,
    MapDeleteElem = 3,
    GetSmpProcessorId = 8,
    GetCurrentPidTgid = 14,
    GetCurrentUidGid = 15,
    GetCurrentComm = 16,
    ProbeReadUser = 112,
    ProbeReadKernel = 113,
    ProbeReadUserStr = 114,
    ProbeReadKernelStr = 115,
    RingbufReserve = 131,
    RingbufSubmit = 132,
    Snprintf = 165,
    GetAttachCookie = 174,
    MapLookupPercpuElem = 195,
    KtimeGetTaiNs = 208,
}

impl Alu {
    /// The operation of a code.
    #[must_use]
    pub fn of(code: u8) -> Option<Self> {
        use Alu::*;
        [Add, Sub, Mul, Div, Or, And, Lsh, Rsh, Neg, Mod, Xor, Mov, Arsh, End]
            .into_iter()
            .find(|op| *op as u8 == code & 0xf0)
    }
}

impl Jump {
    /// The condition of a code.
    #[must_use]
    pub fn of(code: u8) -> Option<Self> {
        use Jump::*;
        [Always, Eq, Gt, Ge, Ne, Sgt, Sge, Call, Exit, Lt, Le, Slt, Sle, May]
            .into_iter()
            .find(|op| *op as u8 == code & 0xf0)
    }

    /// The condition that holds where this one does not.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Sgt => Self::Sle,
            Self::Sge => Self::Slt,
            Self::Slt => Self::Sge,
            Self::Sle => Self::Sgt,
            Self::Always | Self::Call | Self::Exit | Self::May => self,
        }
    }
}

impl Size {
    /// The size of so many bytes; eight for what is none.
    #[must_use]
    pub fn of_bytes(bytes: u8) -> Self {
        match bytes {
            1 => Self::B,
            2 => Self::H,
            4 => Self::W,
            _ => Self::Dw,
        }
    }
}

impl Helper {
    const ALL: [Self; 17] = [
        Self::MapLookupElem,
        Self::MapUpdateElem,
        Self::MapDeleteElem,
        Self::GetSmpProcessorId,
        Self::GetCurrentPidTgid,
        Self::GetCurrentUidGid,
        Self::GetCurrentComm,
        Self::ProbeReadUser,
        Self::ProbeReadKernel,
        Self::ProbeReadUserStr,
        Self::ProbeReadKernelStr,
        Self::RingbufReserve,
        Self::RingbufSubmit,
        Self::Snprintf,
        Self::GetAttachCookie,
        Self::MapLookupPercpuElem,
        Self::KtimeGetTaiNs,
    ];

    /// The helper with a number.
    #[must_use]
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|helper| *helper as i32 == number)
    }

    /// Its name without `bpf_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MapLookupElem => "map_lookup_elem",
            Self::MapUpdateElem => "map_update_elem",
            Self::MapDeleteElem => "map_delete_elem",
            Self::GetSmpProcessorId => "get_smp_processor_id",
            Self::GetCurrentPidTgid => "get_current_pid_tgid",
            Self::GetCurrentUidGid => "get_current_uid_gid",
            Self::GetCurrentComm => "get_current_comm",
            Self::ProbeReadUser => "probe_read_user",
            Self::ProbeReadKernel => "probe_read_kernel",
            Self::ProbeReadUserStr => "probe_read_user_str",
            Self::ProbeReadKernelStr => "probe_read_kernel_str",
            Self::RingbufReserve => "ringbuf_reserve",
            Self::RingbufSubmit => "ringbuf_submit",
            Self::Snprintf => "snprintf",
            Self::GetAttachCookie => "get_attach_cookie",
            Self::MapLookupPercpuElem => "map_lookup_percpu_elem",
            Self::KtimeGetTaiNs => "ktime_get_tai_ns",
        }
    }
}
