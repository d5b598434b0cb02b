//! Fixture A, and what a malformed world is told.

use crate::random_world::{fixture_a, fixture_a_tables, random_world};
use crate::{all_close, close};
use theory::{Error, Stream, World, WorldTables};

#[test]
fn fixture_a_is_reproduced() {
    let solution = fixture_a().solve().unwrap();
    let prompt = &solution.prompts[0];
    all_close(&prompt.value, &[0.25, 0.55, 0.80, 0.55], 1e-12);
    close(prompt.z, 2.8517614027376474, 1e-12);
    close(0.5 * prompt.log_z, 0.5239684197116158, 1e-12);
    let rho_star = [0.23125655170413362, 0.3160326829301862, 0.3473665377222848, 0.1053442276433954];
    all_close(&prompt.rho_star, &rho_star, 1e-12);
    close(prompt.j_ref, 0.48, 1e-12);
    close(prompt.j_star, 0.5674646689193311, 1e-12);
    close(prompt.kl_star, 0.08699249841543064, 1e-12);
    close(prompt.kl_ref_star, 0.08793683942323163, 1e-12);
    all_close(&prompt.pi_star, &[0.09003057317038045, 0.24472847105479764, 0.6652409557748219], 1e-12);
    close(prompt.gap, 0.22014052238288961, 1e-12);
    all_close(&prompt.bound.terms, &[0.5652409557748219, 0.27, -0.04349624920771532], 1e-12);
    close(prompt.bound.total(), 0.7917447065671066, 1e-12);
    close(prompt.bound.jeffreys, 0.7477762868554908, 1e-12);
    close(prompt.bound.merged, 0.26777628685549076, 1e-12);
    close(prompt.bound.direct, 0.2620112282623952, 1e-12);
    close(solution.mean.bound, 0.7917447065671066, 1e-12);
}

#[test]
fn means_are_weighted_over_prompts() {
    let world = random_world(&mut Stream::new(5), 3);
    let solution = world.solve().unwrap();
    let by_hand: f64 = (0..3).map(|prompt| world.weights[prompt] * solution.prompts[prompt].gap).sum();
    close(solution.mean.gap, by_hand, 1e-15);
    close(world.weights.iter().sum(), 1.0, 1e-15);
}

#[test]
fn the_reference_of_the_oracle_is_the_target_on_the_naive_prompt() {
    let world = World::new(WorldTables { pi_sft: None, ..fixture_a_tables() }).unwrap();
    assert_eq!(world.prompts[0].pi_sft, world.prompts[0].pi_f[0]);
}

/// Makes a good world bad.
type Spoil = fn(&mut WorldTables);

#[test]
fn malformed_worlds_are_refused_with_the_place() {
    let refused = |spoil: Spoil| {
        let mut tables = fixture_a_tables();
        spoil(&mut tables);
        World::new(tables).unwrap_err().to_string()
    };
    let cases: [(Spoil, &str); 14] = [
        (|t| t.rho_ref[0][1] = 0.4, "`rho_ref[0]` must sum to 1, its entries sum to 1.1"),
        (|t| t.pi_f[0][2][0] = 0.2, "`pi_f[0][2]` must sum to 1, its entries sum to 1.1"),
        (|t| t.reward[0][1] = f64::NAN, "`reward[0][1]` must be a finite number, found NaN"),
        (|t| t.rho_ref[0][0] = -0.4, "`rho_ref[0][0]` must not be negative, found -0.4"),
        (|t| t.lambda = -0.5, "`lambda` must be above 0, found -0.5"),
        (|t| t.beta = 0.0, "`beta` must be above 0, found 0"),
        (|t| t.pi_f[0].truncate(3), "`pi_f[0]` has 3 entries where 4 are needed"),
        (|t| t.pi_f[0][1].truncate(2), "`pi_f[0][1]` has 2 entries where 3 are needed"),
        (|t| t.reward.push(vec![1.0]), "`reward` has 2 entries where 1 are needed"),
        (|t| t.rho_ref.clear(), "`rho_ref` is empty"),
        (|t| t.weights = Some(vec![0.0]), "`the sum of weights` must be above 0, found 0"),
        (|t| t.pi_sft = Some(vec![vec![0.5, 0.5]]), "`pi_sft[0]` has 2 entries where 3 are needed"),
        (|t| t.reward_range = Some([0.0, 0.9]), "`reward[0][2]` must lie in [0, 0.9], found 1"),
        (|t| t.reward_range = Some([1.0, 0.0]), "must lie in [1, "),
    ];
    for (spoil, message) in cases {
        let found = refused(spoil);
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn rounded_rows_are_scaled() {
    let mut tables = fixture_a_tables();
    tables.rho_ref = vec![vec![0.3333333, 0.3333333, 0.3333333, 0.0]];
    let world = World::new(tables).unwrap();
    close(world.prompts[0].rho_ref.iter().sum(), 1.0, 1e-15);
    assert_eq!(world.solve().unwrap().prompts[0].rho_star[3], 0.0);
    let empty_row = World::new(WorldTables { rho_ref: vec![vec![]], ..fixture_a_tables() });
    assert_eq!(empty_row, Err(Error::Empty { place: "rho_ref[0]".into() }));
}
