//! Which shard of a run each sample belongs to: the same on every machine, whatever is done already.

/// The number of the shard, from 0, of each piece of work: the most expensive piece first, each to the shard
/// that has least so far, and to the first such shard if several have.
///
/// Most expensive first keeps every shard within one piece's cost of the others (Graham 1969), and that piece
/// is small where there are many.
pub(crate) fn shares(costs: &[f64], shards: usize) -> Vec<usize> {
    // Shards beyond the pieces stay empty.
    let mut loads = vec![0.0; shards.min(costs.len())];
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|&a, &b| costs[b].total_cmp(&costs[a]));
    let mut shares = vec![0; costs.len()];
    for piece in order {
        let least =
            (1..loads.len()).fold(0, |least, shard| if loads[shard] < loads[least] { shard } else { least });
        shares[piece] = least;
        loads[least] += costs[piece];
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn loads(costs: &[f64], shards: usize) -> Vec<f64> {
        let mut loads = vec![0.0; shards];
        for (share, cost) in shares(costs, shards).into_iter().zip(costs) {
            loads[share] += cost;
        }
        loads
    }

    proptest! {
        #[test]
        fn every_piece_is_in_one_shard(
            costs in prop::collection::vec(1.0f64..1e15, 0..60),
            shards in 1usize..20,
        ) {
            let shares = shares(&costs, shards);
            prop_assert_eq!(shares.len(), costs.len());
            prop_assert!(shares.iter().all(|&share| share < shards));
            let used = (0..shards).filter(|shard| shares.contains(shard)).count();
            prop_assert_eq!(used, shards.min(costs.len()));
        }

        #[test]
        fn shards_differ_by_no_more_than_a_piece(
            costs in prop::collection::vec(1.0f64..1e6, 1..60),
            shards in 1usize..20,
        ) {
            let loads = loads(&costs, shards);
            let most = loads.iter().copied().fold(0.0, f64::max);
            let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
            let dearest = costs.iter().copied().fold(0.0, f64::max);
            prop_assert!(most - least <= dearest * (1.0 + 1e-9), "{loads:?}");
        }

        /// Many samples of lengths like those of real documents: within a tenth of the mean, unless one
        /// sample alone is more.
        #[test]
        fn balanced_to_a_tenth(
            costs in prop::collection::vec((5.0f64..9.0).prop_map(f64::exp2), 100..300),
            shards in 1usize..20,
        ) {
            let loads = loads(&costs, shards);
            let mean = loads.iter().sum::<f64>() / shards as f64;
            let dearest = costs.iter().copied().fold(0.0, f64::max);
            prop_assume!(dearest < mean);
            prop_assert!(loads.iter().all(|load| (load / mean - 1.0).abs() <= 0.1), "{loads:?}");
        }
    }

    #[test]
    fn dearest_first() {
        assert_eq!(shares(&[1.0, 4.0, 2.0, 3.0], 2), [0, 0, 1, 1]);
        assert_eq!(shares(&[2.0, 2.0, 2.0], 2), [0, 1, 0]);
        assert_eq!(shares(&[5.0, 1.0], usize::MAX), [0, 1]);
        assert_eq!(shares(&[], 3), Vec::<usize>::new());
    }
}
