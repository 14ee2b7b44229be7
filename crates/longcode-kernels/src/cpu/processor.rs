//! Which instructions this processor multiplies bf16 numbers with, found once at run time.

use std::sync::OnceLock;

use longcode_base::error::{Error, ErrorKind, Result};

/// The environment variable that forces one: a [`Bf16Instructions::name`].
pub(super) const VARIABLE: &str = "LONGCODE_CPU";

/// A way to multiply matrices of bf16 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bf16Instructions {
    /// AMX tiles: `tdpbf16ps`, 16 rows by 32 columns of bf16 a register.
    Amx,
    /// AVX512-BF16: `vdpbf16ps`, 32 bf16 numbers an instruction.
    Avx512Bf16,
    /// None: numbers are widened, and f32 products do the work (AVX-512, AVX2, NEON or plain code, depending
    /// on the processor).
    F32,
}

impl Bf16Instructions {
    /// All of them, fastest first.
    pub const ALL: [Bf16Instructions; 3] =
        [Bf16Instructions::Amx, Bf16Instructions::Avx512Bf16, Bf16Instructions::F32];

    /// Its name, as in [`VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Bf16Instructions::Amx => "amx",
            Bf16Instructions::Avx512Bf16 => "avx512_bf16",
            Bf16Instructions::F32 => "f32",
        }
    }

    /// Whether this processor and its system support it.
    pub fn is_here(self) -> bool {
        match self {
            Bf16Instructions::Amx => Bf16Instructions::Avx512Bf16.is_here() && amx_is_here(),
            #[cfg(target_arch = "x86_64")]
            Bf16Instructions::Avx512Bf16 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Bf16Instructions::Avx512Bf16 => false,
            Bf16Instructions::F32 => true,
        }
    }

    /// Those of this processor.
    pub fn here() -> impl Iterator<Item = Bf16Instructions> {
        Bf16Instructions::ALL.into_iter().filter(|products| products.is_here())
    }

    /// The one in use: what [`VARIABLE`] says, otherwise the fastest of this processor.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] for an unknown name, or one that this processor lacks.
    pub fn checked() -> Result<Bf16Instructions> {
        let Ok(name) = std::env::var(VARIABLE) else { return Ok(Bf16Instructions::chosen()) };
        let here: Vec<_> = Bf16Instructions::here().map(Bf16Instructions::name).collect();
        if here.contains(&name.as_str()) {
            Ok(Bf16Instructions::chosen())
        } else {
            Err(Error::new(ErrorKind::Device, format!("this processor has no `{name}`"))
                .at(format_args!("environment variable {VARIABLE}"))
                .fix(format!("unset it, or give one of: {}", here.join(", "))))
        }
    }

    /// The one in use; the fastest if [`Bf16Instructions::checked`] would refuse.
    pub fn chosen() -> Bf16Instructions {
        static CHOSEN: OnceLock<Bf16Instructions> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let forced = std::env::var(VARIABLE).ok();
            let is_forced = |products: &Bf16Instructions| forced.as_deref() == Some(products.name());
            let fastest = Bf16Instructions::here().next().unwrap_or(Bf16Instructions::F32);
            Bf16Instructions::here().find(is_forced).unwrap_or(fastest)
        })
    }
}

/// Whether the processor has AMX with bf16, and the kernel lets this process use its tiles.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
fn amx_is_here() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        /// arch_prctl(2): enables a state that is off by default, for the whole process.
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        /// The tiles' data, by its number in the saved state.
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        let leaf = |number, sub| std::arch::x86_64::__cpuid_count(number, sub);
        let has = leaf(0, 0).eax >= 7 && {
            let edx = leaf(7, 0).edx;
            edx & (1 << 24) != 0 && edx & (1 << 22) != 0
        };
        // SAFETY: the call changes what this process may do, and touches no memory.
        has && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
    })
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
fn amx_is_here() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// Texts in quotes that follow `before`, in all files of a folder.
    fn quoted(folder: &Path, before: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                quoted(&path, before, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let features = text.split(before).skip(1).filter_map(|rest| rest.split('"').nth(1));
            found.extend(features.flat_map(|list| list.split(',')).map(str::to_string));
        }
    }

    /// The processor is checked for everything that kernels are compiled for before one runs.
    #[test]
    fn every_feature_is_checked() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cpu");
        let [mut compiled, mut checked] = [BTreeSet::new(), BTreeSet::new()];
        quoted(&folder, concat!("target_feature", "(enable ="), &mut compiled);
        quoted(&folder, concat!("is_x86_feature", "_detected!("), &mut checked);
        assert!(compiled.contains("avx512vl") && compiled.is_subset(&checked), "{compiled:?}, {checked:?}");
    }
}
