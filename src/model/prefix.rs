//! Prompts that begin alike.

use crate::structure::Layout;

/// Tokens that must be shared before it is worth it.
pub const LEAST_SHARED: usize = 32;

/// How many first tokens of two prompts are the same and in the same segments.
pub fn shared_tokens(a: (&[u32], &Layout), b: (&[u32], &Layout)) -> usize {
    if a.1.levels.len() != b.1.levels.len() {
        return 0;
    }
    let of_levels = a.1.levels.iter().zip(&b.1.levels).map(|(a, b)| same(a, b));
    of_levels.fold(same(a.0, b.0), usize::min)
}

/// How many first ones are the same.
fn same(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_prompts_share_is_in_the_same_segments() {
        let shared = |ids: &[u32], level: &[u32]| {
            let own = Layout::from(vec![vec![0, 0, 1, 1]]);
            shared_tokens((&[7, 8, 9, 10], &own), (ids, &Layout::from(vec![level.to_vec()])))
        };
        assert_eq!(shared(&[7, 8, 9, 10, 11], &[0, 0, 1, 1, 1]), 4);
        assert_eq!(shared(&[7, 8, 9, 11], &[0, 0, 1, 1]), 3);
        assert_eq!(shared(&[7, 8, 9, 10], &[0, 0, 0, 1]), 2);
        assert_eq!(shared(&[6, 8], &[0, 0]), 0);
        let flat = Layout::default();
        assert_eq!(shared_tokens((&[7, 8], &flat), (&[7, 8], &Layout::from(vec![vec![0, 0]]))), 0);
    }
}
