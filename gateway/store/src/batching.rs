//! Sizes of statements. A statement with another number of rows is another statement for the database: it is parsed and planned again
//! and evicts older ones from the cache. So rows are written in a few sizes, and lists are filled up.

/// Rows of one INSERT, largest first. With 20 columns the largest stays below SQLite's 32 766 parameters.
const ROWS: [usize; 3] = [256, 64, SMALL];

/// Up to this many rows form one statement of their own size: that many sizes fit the cache, and small commits stay short.
const SMALL: usize = 32;

/// Cuts `rows` into parts of few sizes.
pub(crate) fn parts<T>(rows: Vec<T>) -> Vec<Vec<T>> {
    let mut rest = rows;
    let mut parts = Vec::new();
    while rest.len() > SMALL
        && let Some(size) = ROWS.into_iter().find(|size| *size <= rest.len())
    {
        let tail = rest.split_off(size);
        parts.push(std::mem::replace(&mut rest, tail));
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

/// Fills a list for an `IN` up to a power of two by repeating its last element, which changes nothing.
pub(crate) fn filled<T: Clone>(list: &[T]) -> Vec<T> {
    let mut full = list.to_vec();
    if let Some(last) = list.last() {
        full.resize(list.len().next_power_of_two(), last.clone());
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_exactly_one_part_in_order_and_sizes_are_few() {
        for n in [0, 1, 3, 4, 255, 256, 700] {
            let parts = parts((0..n).collect());
            assert!(parts.iter().all(|p| ROWS.contains(&p.len()) || p.len() <= SMALL));
            assert_eq!(parts.concat(), (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_filled_list_holds_the_same_set() {
        assert_eq!(filled(&[1, 2, 3]), [1, 2, 3, 3]);
        assert_eq!(filled::<i32>(&[]), Vec::<i32>::new());
    }
}
