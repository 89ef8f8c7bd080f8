//! What follows what among the items of a map that wait for each other: for each item the indices of those that it waits
//! for.

/// Whether item `late` waits for item `early`, directly or not. Ends on cycles, too.
pub fn is_after(needs: &[Vec<u8>], late: u32, early: u32) -> bool {
    let mut open = vec![late];
    let mut seen = vec![false; needs.len()];
    while let Some(item) = open.pop() {
        let Some(item_needs) = needs.get(item as usize) else { continue };
        if std::mem::replace(&mut seen[item as usize], true) {
            continue;
        }
        for &need in item_needs {
            if u32::from(need) == early {
                return true;
            }
            open.push(need.into());
        }
    }
    false
}

/// For each item how many stand before it on the longest way to it: whoever waits for another stands higher. Items on a
/// cycle, which no map that runs has, stand at 0.
pub fn levels(needs: &[Vec<u8>]) -> Vec<u32> {
    let mut levels: Vec<Option<u32>> = vec![None; needs.len()];
    let mut is_growing = true;
    while is_growing {
        is_growing = false;
        for (item, needs) in needs.iter().enumerate().filter(|(item, _)| levels[*item].is_none()).collect::<Vec<_>>() {
            let below: Option<Vec<u32>> =
                needs.iter().map(|&need| levels.get(usize::from(need)).copied().flatten()).collect();
            if let Some(below) = below {
                levels[item] = Some(below.into_iter().max().map_or(0, |level| level + 1));
                is_growing = true;
            }
        }
    }
    levels.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_stands_higher() {
        let needs = [vec![2], vec![], vec![3], vec![], vec![0, 1]];
        assert_eq!(levels(&needs), [2, 0, 1, 0, 3]);
        for late in 0..5 {
            for early in 0..5 {
                if is_after(&needs, late, early) {
                    assert!(levels(&needs)[late as usize] > levels(&needs)[early as usize], "{late} {early}");
                }
            }
        }
        assert!(is_after(&needs, 4, 3) && !is_after(&needs, 3, 4) && !is_after(&needs, 1, 0));
    }

    #[test]
    fn cycles_end() {
        assert_eq!(levels(&[vec![1], vec![0], vec![]]), [0, 0, 0]);
        assert!(is_after(&[vec![1], vec![0]], 0, 0));
        assert!(!is_after(&[], 3, 2));
    }
}
