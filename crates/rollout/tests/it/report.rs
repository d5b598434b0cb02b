//! The report: well-formed whatever is in the record, and nothing in it can run.

mod fixture;

use proptest::prelude::*;
use rollout::bound::{BoundArms, BoundOptions, bound};
use rollout::evaluate::{EvaluatedPrompt, EvaluatedResponse, EvaluatedRewrite, JudgeResult, JudgedResult};
use rollout::event::{Event, Metric, ShownRollout};
use rollout::judge::CanaryResult;
use rollout::report::{RunRecord, render};

const EMPTY: RunRecord<'_> =
    RunRecord { name: "empty", config_toml: "", events: &[], evaluation: None, prompts: &[], bound: None };

/// Every tag closed in its order, every attribute quoted, no `<` or `>` outside of tags but in the style sheet.
fn assert_well_formed(html: &str) {
    let (before, rest) = html.split_once("<style>").unwrap();
    let (style, after) = rest.split_once("</style>").unwrap();
    assert!(!style.contains('<'), "the style sheet has no markup");
    let mut open = Vec::new();
    let body = format!("{}{after}", before.strip_prefix("<!DOCTYPE html>").unwrap());
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("no end: <{piece}"));
        assert!(!text.contains('>'), "a stray > in {text:?}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "a control character in {text:?}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closing <{tag}>");
            continue;
        }
        assert!(tag.matches('"').count().is_multiple_of(2), "an open quote in <{tag}>");
        let outside: String = tag.split('"').step_by(2).collect();
        let name = outside.split([' ', '/']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && name != "script", "<{tag}>");
        assert!(
            !outside.split(' ').any(|attribute| attribute.starts_with("on") || attribute.starts_with("src")),
            "<{tag}>"
        );
        if !tag.ends_with('/') {
            open.push(body_name(&body, name));
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    let odd = ["NaN", "inf\"", "-0\"", "undefined"];
    let drawn: String = body.split("<svg").skip(1).filter_map(|svg| svg.split("</svg>").next()).collect();
    odd.iter().for_each(|odd| assert!(!drawn.contains(odd), "{odd} in a drawing"));
}

/// The name as a slice of the body, which outlives the tag it was taken from.
fn body_name<'a>(body: &'a str, name: &str) -> &'a str {
    let at = body.find(&format!("<{name}")).unwrap() + 1;
    &body[at..at + name.len()]
}

/// A run that consists of one text wherever there can be one.
fn all_of(text: &str) -> fixture::Run {
    let mut run = fixture::run(3, 3, 3);
    let own = || text.to_owned();
    run.config = own();
    let shown = ShownRollout {
        prompt: own(),
        written: own(),
        rewrite: format!("{text}!"),
        response: own(),
        reward: 1.0,
        findings: vec![own()],
    };
    run.events.push(Event::Rollouts { step: 1, rollouts: vec![shown] });
    run.events.push(Event::Warned { step: Some(1), message: own() });
    for event in &mut run.events {
        match event {
            Event::Started(started) => {
                (started.method, started.prompter, started.target, started.reward) = (own(), own(), own(), own());
            }
            Event::StepDone(step) => step.metrics.extend([(own(), 1.0)]),
            _ => {}
        }
    }
    (run.evaluation.about.model, run.evaluation.about.target, run.evaluation.about.reward) = (own(), own(), own());
    let trained = run.evaluation.arms["trained"].clone();
    run.evaluation.arms.insert(own(), trained);
    let part = run.evaluation.parts.values().next().unwrap().clone();
    run.evaluation.parts.insert(own(), part);
    run.evaluation.gain.insert(own(), run.evaluation.gain["vs_ref"]);
    run.evaluation.win_rate.insert(own(), run.evaluation.win_rate["vs_ref"]);
    run.evaluation.judge = Some(judged(&run, text));
    run.evaluation.arms.values_mut().for_each(|arm| arm.rails.extend([(own(), 0.5)]));
    for prompt in &mut run.prompts {
        prompt.prompt = own();
        for rewrite in &mut prompt.rewrites {
            (rewrite.written, rewrite.rewrite, rewrite.findings) = (Some(own()), format!("{text}!"), vec![own()]);
            for response in &mut rewrite.responses {
                (response.text, response.parts) = (own(), vec![(own(), 1.0)]);
            }
        }
    }
    run
}

/// What a judge of this name says of a run.
fn judged(run: &fixture::Run, name: &str) -> JudgeResult {
    let rate = run.evaluation.win_rate["vs_ref"];
    let judged = JudgedResult { rate, n_pairs: 200, flip_rate: 0.4, abstention_rate: 0.02, longer_wins: Some(0.81) };
    JudgeResult {
        judge: name.to_owned(),
        arm: "trained".to_owned(),
        win_rate: [("vs_ref".to_owned(), judged)].into(),
        canaries: CanaryResult { passed: 15, n: 16, failed: vec![name.to_owned()] },
    }
}

#[test]
fn a_judge_s_verdicts_stand_beside_what_speaks_against_them() {
    let mut run = fixture::run(3, 3, 40);
    assert!(!render(&run.record()).contains("In the eyes of a judge"));
    run.evaluation.judge = Some(judged(&run, "stern"));
    let html = render(&run.record());
    assert_well_formed(&html);
    let told = [
        "<section id=\"judge\"",
        "15 of 16 canaries",
        "The judge <code>stern</code> may not be worth its verdicts: it let 1 of 16 canaries win; 40\u{a0}% of its verdicts changed",
        "81\u{a0}% of its decided pairs went to the longer answer",
    ];
    for text in told {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("of its replies were unclear"));
}

#[test]
fn a_whole_run_has_every_section() {
    let run = fixture::run(60, 5, 100);
    let html = render(&run.record());
    assert_well_formed(&html);
    for id in ["verdict", "training", "arms", "parts", "prompts", "examples", "rollouts", "warnings", "record"] {
        assert_eq!(html.matches(&format!("<section id=\"{id}\"")).count(), 1, "{id}");
    }
    for text in [
        "Reward by arm",
        "Distribution of rewards",
        "Reward against divergence",
        "Gain over naive",
        "Gain over ref",
        "best-of-4",
        "oracle",
        "group-size = 4",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(html.contains("No update was made in steps 31."));
    assert!(html.contains("(2 times, first at step 17, last at step 23)"));
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("url("), "nothing is loaded");
    // Left there for whoever wants to see what it looks like.
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html");
    std::fs::write(path, &html).unwrap();
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
    assert_eq!(html, render(&run.record()), "the same record makes the same file");
}

#[test]
fn a_run_can_be_empty_unfinished_or_evaluation_only() {
    let html = render(&EMPTY);
    assert_well_formed(&html);
    assert!(html.contains("Nothing has been trained or evaluated yet."));

    let run = fixture::run(60, 3, 40);
    let started = render(&RunRecord { events: &run.events[..1], ..EMPTY });
    assert_well_formed(&started);
    assert!(started.contains("Unfinished: 0 of 60 steps"));

    let unfinished = render(&RunRecord { events: &run.events[..50], ..EMPTY });
    assert_well_formed(&unfinished);
    assert!(unfinished.contains("Unfinished: ") && unfinished.contains("Training reward went from"));
    assert!(unfinished.contains("whether training helped is not known"));
    assert!(!unfinished.contains("id=\"arms\""));

    let evaluated = render(&RunRecord { events: &[], ..run.record() });
    assert_well_formed(&evaluated);
    assert!(!evaluated.contains("id=\"training\"") && evaluated.contains("Reward by arm"));

    let without_texts = render(&RunRecord { prompts: &[], ..run.record() });
    assert_well_formed(&without_texts);
    let without_figures = render(&RunRecord { evaluation: None, ..run.record() });
    assert_well_formed(&without_figures);
}

#[test]
fn any_number_of_arms_can_be_shown() {
    for n_arms in 1..=5 {
        assert_well_formed(&render(&fixture::run(3, n_arms, 4).record()));
    }
}

#[test]
fn a_bound_is_shown_where_it_was_measured() {
    let run = fixture::run(3, 5, 8);
    let arm = |name: &str| -> Vec<EvaluatedPrompt> {
        // Twice as many of everything: enough to halve.
        let doubled = |prompt: &EvaluatedPrompt| {
            let mut prompt = prompt.clone();
            prompt.rewrites.iter_mut().for_each(|rewrite| rewrite.responses.extend_from_within(..));
            prompt.rewrites.extend_from_within(..);
            prompt
        };
        run.prompts.iter().filter(|prompt| prompt.arm == name).map(doubled).collect()
    };
    let [naive, reference, trained, oracle] = ["naive", "ref", "trained", "oracle"].map(arm);
    let arms = BoundArms { naive: &naive, reference: &reference, trained: &trained, oracle: Some(&oracle) };
    let found =
        bound(arms, BoundOptions { lambda: 0.05, beta: 0.1, range: Some([0.0, 1.0]), penalised: false }).unwrap();
    let html = render(&RunRecord { bound: Some(&found), ..run.record() });
    assert_well_formed(&html);
    assert!(html.contains("From the oracle to the trained prompter") && html.contains("(1.5c) direct"));
    assert!(html.contains("From a target fine-tuned at beta 0.1") && html.contains("for any prompter"));
    assert!(!render(&run.record()).contains("id=\"bound\""));
}

#[test]
fn the_verdict_says_no_more_than_the_interval() {
    let mut run = fixture::run(3, 3, 40);
    let mut told = |mean: f64, interval: [f64; 2], significant| {
        let gain = run.evaluation.gain.get_mut("vs_naive").unwrap();
        (gain.mean, gain.interval, gain.significant) = (mean, interval, significant);
        let html = render(&run.record());
        let headline = html.split("class=\"headline\">").nth(1).unwrap();
        headline.split('<').next().unwrap().to_owned()
    };
    assert_eq!(told(0.015, [-0.02, 0.05], false), {
        "The trained prompter shows no significant difference to the naive prompt: +0.015 reward [−0.020, 0.050]."
    });
    assert!(told(0.046, [0.012, 0.081], true).contains("significantly better than the naive prompt: +0.046"));
    assert!(told(-0.046, [-0.081, -0.012], true).contains("significantly worse than the naive prompt: −0.046"));
    assert!(told(f64::NAN, [f64::NAN, 1.0], true).contains("could not be determined"));
}

#[test]
fn longer_responses_are_pointed_out() {
    let mut run = fixture::run(3, 3, 40);
    let mut cautioned = |tokens: f64| {
        run.evaluation.arms.values_mut().for_each(|arm| arm.mean_response_tokens = 100.0);
        run.evaluation.arms.get_mut("trained").unwrap().mean_response_tokens = tokens;
        let html = render(&run.record());
        html.split("Before you believe it").nth(1).unwrap_or_default().split("</aside>").next().unwrap().to_owned()
    };
    let longer = "<code>trained</code> 21\u{a0}% longer than <code>naive</code> (121 tokens against 100)";
    assert!(cautioned(121.0).contains(longer));
    assert!(cautioned(70.0).contains("30\u{a0}% shorter than <code>ref</code>"));
    assert!(!cautioned(119.0).contains("Length is the cheapest"));
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = [
        "<script>alert(1)</script>",
        "</style></pre></details><img src=x onerror=alert(1)>",
        "\"'><svg onload=alert(1)>",
        "]]><!-- --><!DOCTYPE x",
        "&lt;already&#39;escaped&amp;",
        "nul\0 esc\x1b[31m bell\x07 c1\u{9b} bidi\u{202e} nonchar\u{ffff}",
        "{{7*7}}${7*7}`",
        "",
        "   ",
    ];
    for text in hostile {
        let html = render(&RunRecord { name: text, ..all_of(text).record() });
        assert_well_formed(&html);
        for raw in ["<script", "<img", "onload=alert(1)><", "<!--", "]]>", "\0", "\x1b", "\u{202e}", "\u{ffff}"] {
            assert!(!html.contains(raw), "{raw:?} of {text:?}");
        }
    }
}

#[test]
fn figures_that_are_not_finite_never_break_the_file() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -1.0, 0.0] {
        let mut run = fixture::run(4, 5, 6);
        for event in &mut run.events {
            match event {
                Event::StepDone(step) => {
                    step.metrics.values_mut().for_each(|value| *value = odd);
                    let seconds = &mut step.seconds;
                    (seconds.sampling, seconds.target, seconds.total) = (odd, odd, odd);
                }
                Event::Validated { reward, interval, .. } => (*reward, *interval) = (odd, [odd, odd]),
                Event::Rollouts { rollouts, .. } => rollouts.iter_mut().for_each(|rollout| rollout.reward = odd),
                _ => {}
            }
        }
        for arm in run.evaluation.arms.values_mut() {
            (arm.mean_reward, arm.interval, arm.variance) = (odd, [odd, odd], odd);
            (arm.mean_response_tokens, arm.mean_rewrite_tokens) = (odd, odd);
            (arm.variance_parts.between_prompts, arm.variance_parts.within) = (odd, Some(odd));
            arm.rails.values_mut().for_each(|share| *share = odd);
        }
        run.evaluation.gain.values_mut().for_each(|gain| (gain.mean, gain.interval) = (odd, [odd, odd]));
        run.evaluation.win_rate.values_mut().for_each(|rate| (rate.mean, rate.ties) = (odd, odd));
        run.evaluation.parts.values_mut().flat_map(|arms| arms.values_mut()).for_each(|part| part.mean = odd);
        run.evaluation.about.seconds = odd;
        let responses = run.prompts.iter_mut().flat_map(|p| &mut p.rewrites).flat_map(|r| &mut r.responses);
        responses.for_each(|response| response.reward = odd);
        assert_well_formed(&render(&run.record()));
    }
}

#[test]
fn counts_may_be_as_large_as_they_can() {
    let mut run = fixture::run(4, 3, 4);
    for event in &mut run.events {
        match event {
            Event::Started(started) => (started.steps, started.n_prompts) = (u64::MAX, usize::MAX),
            Event::StepDone(step) => step.step = u64::MAX - step.step % 2,
            Event::Finished { steps, kept_step, .. } => (*steps, *kept_step) = (u64::MAX, u64::MAX),
            _ => {}
        }
    }
    for arm in run.evaluation.arms.values_mut() {
        (arm.n_prompts, arm.n_rewrites, arm.n_responses) = (usize::MAX, usize::MAX, usize::MAX);
    }
    run.evaluation.parts.values_mut().flat_map(|arms| arms.values_mut()).for_each(|part| part.n_prompts = usize::MAX);
    let responses = run.prompts.iter_mut().flat_map(|p| &mut p.rewrites).flat_map(|r| &mut r.responses);
    responses.for_each(|response| response.tokens = usize::MAX);
    assert_well_formed(&render(&run.record()));
}

#[test]
fn metrics_may_be_missing_and_steps_may_come_twice() {
    let mut run = fixture::run(6, 3, 4);
    for event in &mut run.events {
        if let Event::StepDone(step) = event {
            step.metrics.retain(|name, _| step.step % 2 == 0 && name != Metric::Kl.name());
        }
    }
    let again: Vec<Event> = run.events.iter().rev().cloned().collect();
    run.events.extend(again);
    let html = render(&run.record());
    assert_well_formed(&html);
    assert!(!html.contains("Divergence"));
}

#[test]
fn prompts_may_lack_rewrites_and_responses() {
    let bare = |arm: &str, rewrites| EvaluatedPrompt {
        arm: arm.to_owned(),
        id: "1".to_owned(),
        prompt: "x".to_owned(),
        rewrites,
    };
    let mute = EvaluatedRewrite {
        written: None,
        rewrite: "x".to_owned(),
        tokens: 0,
        findings: vec![],
        fell_back: false,
        kl: None,
        responses: vec![],
    };
    let prompts = [bare("trained", vec![]), bare("naive", vec![mute])];
    assert_well_formed(&render(&RunRecord { prompts: &prompts, ..EMPTY }));
}

#[test]
fn a_long_text_is_all_there() {
    let mut run = fixture::run(1, 3, 2);
    let long: String = (0..5_000).map(|at| format!("w{at} ")).collect();
    let response = EvaluatedResponse { text: long.clone(), tokens: 9, cut: true, reward: 0.5, parts: vec![] };
    run.prompts.iter_mut().for_each(|prompt| prompt.rewrites[0].responses[0] = response.clone());
    let html = render(&run.record());
    assert_well_formed(&html);
    assert!(html.contains("more characters</summary>") && html.contains("w4999 "));
}

#[test]
fn a_long_run_stays_readable_and_small() {
    let run = fixture::run(5_000, 3, 500);
    let html = render(&run.record());
    assert_well_formed(&html);
    assert!(html.contains("mean of 17 neighbouring steps"));
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The mark makes the text unlike anything else in the file; `&` cannot end it, since it begins its own escape.
    #[test]
    fn no_text_comes_through_as_it_is(text in r#"[<>&"'\x00-\x1f a-z]{0,20}[<>"'\x00\x1b]"#) {
        let marked = format!("qzx{text}");
        let html = render(&all_of(&marked).record());
        assert_well_formed(&html);
        prop_assert!(!html.contains(&marked));
    }
}
