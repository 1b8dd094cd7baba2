//! `bench check`: the rows that others read. No figure is judged here.

use crate::process::Ended;

#[test]
fn bench_check_prints_its_rows_as_json() {
    let printed = Ended::of(["bench", "check", "--rounds", "1", "--json"]).printed();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&printed).unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let expected = [
        "library-verify",
        "check-warm-1-key",
        "check-warm-1500-keys",
        "check-cold",
        "check-without-signature",
        "reject-junk",
    ];
    for name in expected {
        assert_eq!(names.iter().filter(|known| **known == name).count(), 1, "{name} in {names:?}");
    }
    for row in &rows {
        assert!(row["ns_median"].as_f64().is_some_and(|ns| ns > 0.0), "{row}");
        assert!(row["ratio_to_library_verify"].as_f64().is_some_and(|ratio| ratio > 0.0), "{row}");
        assert!(row["engine"].is_string() && row["keys"].is_u64(), "{row}");
    }
    let keys = |name: &str| rows[names.iter().position(|known| *known == name).unwrap()]["keys"].as_u64();
    assert_eq!((keys("check-warm-1-key"), keys("check-warm-1500-keys")), (Some(1), Some(1_500)));
}

#[test]
fn bench_authserver_prints_its_rows_as_json() {
    let printed = Ended::of(["bench", "authserver", "--rounds", "1", "--grants", "1200", "--json"]).printed();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&printed).unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let expected = [
        "cryptography-of-a-token",
        "durable-write-sqlite",
        "token-sqlite",
        "refresh-sqlite-1000-grants",
        "refresh-sqlite-1200-grants",
    ];
    assert_eq!(names, expected);
    for row in &rows {
        for figure in ["us_cpu_median", "ratio_to_cryptography", "per_second_one_core", "us_wall_median"] {
            assert!(row[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} of {row}");
        }
    }
}
