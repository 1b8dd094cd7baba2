//! What it costs to verify a password, and how every try to sign in costs the same: each does the work of every cost
//! that any user's hash has, whoever it is for. Usually there is one cost, and so one hash to compute.

use argon2::Params;
use argon2::password_hash::phc::PasswordHash;
use zeroize::Zeroizing;

/// The parameters of an argon2id hash that its time depends on (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cost {
    /// In KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// Of the hashes that are made here.
    const OURS: Self =
        Self { memory: Params::DEFAULT_M_COST, passes: Params::DEFAULT_T_COST, lanes: Params::DEFAULT_P_COST };

    /// The cost of an argon2id hash in PHC form.
    pub(super) fn of(hash: &str) -> Option<Self> {
        let hash = PasswordHash::new(hash).ok().filter(|hash| hash.algorithm.as_str() == "argon2id")?;
        let parameter = |name: &str| hash.params.get_decimal(name);
        Some(Self { memory: parameter("m")?, passes: parameter("t")?, lanes: parameter("p")? })
    }

    /// 256 MiB, 16 passes, 16 lanes at most, and no less than argon2id can be computed with.
    pub(super) fn is_bearable(self) -> bool {
        let Self { memory, passes, lanes } = self;
        memory <= 262_144 && passes <= 16 && lanes <= 16 && Params::new(memory, passes, lanes, None).is_ok()
    }

    /// A hash of this cost that no password fits.
    fn nobodys_hash(self) -> Zeroizing<String> {
        let Self { memory, passes, lanes } = self;
        let (salt, zeros) = ("bm9ib2R5J3Mgc2FsdCE", "A".repeat(43));
        Zeroizing::new(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${zeros}"))
    }
}

/// Every cost that a user's hash may have.
#[derive(Clone, Debug)]
pub(crate) struct Costs(Vec<Cost>);

impl Costs {
    /// Those of `hashes`, which the configuration has, and of those that are made here.
    pub(crate) fn of<'a>(hashes: impl Iterator<Item = &'a str>) -> Self {
        let mut costs = vec![Cost::OURS];
        for cost in hashes.filter_map(Cost::of) {
            if !costs.contains(&cost) {
                costs.push(cost);
            }
        }
        costs.sort_by_key(|cost| (cost.memory, cost.passes, cost.lanes));
        Self(costs)
    }

    /// How many.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// What to compare a password with: the hash of the user who is `known`, if there is one, and nobody's hash of every
    /// other cost. So it is the same work for everybody. A hash whose cost is none of these is compared all the same: that
    /// user takes longer than others, but is not locked out.
    pub(super) fn to_verify(&self, known: Option<&Zeroizing<String>>) -> Vec<Zeroizing<String>> {
        let own = known.and_then(|hash| Cost::of(hash).map(|cost| (cost, hash)));
        let hash = |cost: &Cost| match own {
            Some((own, hash)) if own == *cost => hash.clone(),
            Some(_) | None => cost.nobodys_hash(),
        };
        let unforeseen = own.filter(|(cost, _)| !self.0.contains(cost)).map(|(_, hash)| hash.clone());
        self.0.iter().map(hash).chain(unforeseen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::password::{hash_password, is_password_hash, is_right};
    use super::*;

    fn cheap() -> Zeroizing<String> {
        Cost { memory: 64, passes: 1, lanes: 1 }.nobodys_hash()
    }

    fn costs_of(hashes: &[Zeroizing<String>]) -> Vec<Option<Cost>> {
        hashes.iter().map(|hash| Cost::of(hash)).collect()
    }

    #[test]
    fn knows_the_cost_of_the_hashes_that_are_made_here() {
        assert_eq!(Cost::of(&hash_password("correct horse").unwrap()), Some(Cost::OURS));
        assert_eq!(Cost::of("$argon2i$v=19$m=64,t=1,p=1$bm9ib2R5J3Mgc2FsdCE$AAAA"), None);
    }

    #[test]
    fn nobodys_hash_fits_nothing() {
        let nobodys = cheap();
        assert!(is_password_hash(&nobodys));
        assert!(!is_right("", &nobodys) && !is_right("password", &nobodys));
    }

    #[test]
    fn everybody_costs_the_same_whatever_the_hashes_of_the_configuration_cost() {
        let dear = Cost { memory: 65_536, passes: 3, lanes: 4 }.nobodys_hash();
        let (cheap, ours) = (cheap(), hash_password("correct horse").unwrap());
        let costs = Costs::of([&cheap, &dear, &cheap].into_iter().map(|hash| hash.as_str()));
        assert_eq!(costs.count(), 3);
        let unknown = costs.to_verify(None);
        assert_eq!(costs_of(&unknown), costs.0.iter().copied().map(Some).collect::<Vec<_>>());
        for known in [&cheap, &ours, &dear] {
            let hashes = costs.to_verify(Some(known));
            assert_eq!(costs_of(&hashes), costs_of(&unknown));
            assert!(hashes.contains(known));
            let nobodys = hashes.iter().filter(|hash| *hash != known).collect::<Vec<_>>();
            assert!(nobodys.iter().all(|hash| unknown.contains(hash)), "{}", nobodys.len());
        }
    }

    #[test]
    fn a_hash_of_an_unforeseen_cost_locks_nobody_out() {
        let (costs, stored) = (Costs::of(std::iter::empty()), cheap());
        let hashes = costs.to_verify(Some(&stored));
        assert_eq!(costs_of(&hashes), [Some(Cost::OURS), Cost::of(&stored)]);
        assert!(hashes.contains(&stored) && !costs.to_verify(None).contains(&stored));
    }

    #[test]
    fn one_cost_is_one_hash() {
        let ours = hash_password("correct horse").unwrap();
        let costs = Costs::of([ours.as_str()].into_iter());
        assert_eq!((costs.count(), costs.to_verify(None).len(), costs.to_verify(Some(&ours)).len()), (1, 1, 1));
    }
}
