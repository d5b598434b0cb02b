//! The ways to say each constraint, with slots for its arguments.

pub(super) type Phrases = &'static [&'static str];

pub(super) const ONE_KEYWORD: Phrases = &[
    "Include the word {words}.",
    "Your answer must contain the word {words}.",
    "Make sure that {words} appears in your answer.",
    "Use the word {words} somewhere.",
];

pub(super) const KEYWORDS: Phrases = &[
    "Include the words {words}.",
    "Your answer must contain the words {words}.",
    "Make sure that {words} appear in your answer.",
    "Use the words {words} somewhere.",
];

pub(super) const KEYWORD_AT_LEAST: Phrases = &[
    "Use the word \"{word}\" at least {count} times.",
    "The word \"{word}\" should appear {count} times or more.",
    "Mention \"{word}\" no fewer than {count} times.",
];

pub(super) const KEYWORD_LESS_THAN: Phrases = &[
    "Use the word \"{word}\" less than {count} times.",
    "The word \"{word}\" must appear fewer than {count} times.",
    "Do not mention \"{word}\" {count} times or more.",
];

pub(super) const ONE_FORBIDDEN_WORD: Phrases = &[
    "Do not use the word {words}.",
    "Avoid the word {words}.",
    "Your answer must not contain the word {words}.",
    "Leave out the word {words}.",
];

pub(super) const FORBIDDEN_WORDS: Phrases = &[
    "Use neither of the words {words}.",
    "Avoid the words {words}.",
    "Your answer must contain neither of these words: {words}.",
    "Leave out the words {words}.",
];

pub(super) const LETTER_AT_LEAST: Phrases = &[
    "The letter \"{letter}\" should appear at least {count} times.",
    "Use the letter \"{letter}\" {count} times or more.",
    "Your answer must have no fewer than {count} letters \"{letter}\".",
];

pub(super) const LETTER_LESS_THAN: Phrases = &[
    "The letter \"{letter}\" should appear less than {count} times.",
    "Use the letter \"{letter}\" fewer than {count} times.",
    "Your answer must not have {count} or more letters \"{letter}\".",
];

pub(super) const LANGUAGE: Phrases = &[
    "Answer in {language} only.",
    "Your whole answer must be in {language}, no other language is allowed.",
    "Please respond in {language}.",
    "Write everything in {language}.",
];

pub(super) const SENTENCES_AT_LEAST: Phrases = &[
    "Write at least {count} sentences.",
    "Your answer should have {count} sentences or more.",
    "Use no fewer than {count} sentences.",
];

pub(super) const SENTENCES_LESS_THAN: Phrases = &[
    "Write less than {count} sentences.",
    "Your answer must have fewer than {count} sentences.",
    "Stay below {count} sentences.",
];

pub(super) const PARAGRAPHS: Phrases = &[
    "Write exactly {count} paragraphs. Separate them with the markdown divider ***.",
    "Your answer must have {count} paragraphs, with *** on a line of its own between two paragraphs.",
    "Structure the answer in {count} paragraphs that are separated by ***.",
];

pub(super) const WORDS_AT_LEAST: Phrases = &[
    "Write at least {count} words.",
    "Your answer should be {count} words or longer.",
    "Use no fewer than {count} words.",
    "The answer needs a length of at least {count} words.",
];

pub(super) const WORDS_LESS_THAN: Phrases = &[
    "Use less than {count} words.",
    "Your answer must have fewer than {count} words.",
    "Keep it below {count} words.",
    "Stay under {count} words.",
];

pub(super) const NTH_PARAGRAPH: Phrases = &[
    "Write exactly {count} paragraphs, separated by blank lines. Paragraph {nth} must start with the word \"{word}\".",
    "There should be {count} paragraphs with an empty line between them, and paragraph {nth} has to begin with \"{word}\".",
    "Use {count} paragraphs, parted only by two line breaks. The first word of paragraph {nth} must be \"{word}\".",
];

pub(super) const PLACEHOLDERS: Phrases = &[
    "Include at least {count} placeholders in square brackets, such as [name].",
    "Use {count} or more placeholders represented by square brackets, for example [address].",
    "Leave at least {count} blanks to fill in, written in square brackets like [date].",
];

pub(super) const POSTSCRIPT: Phrases = &[
    "At the end, add a postscript starting with {marker}",
    "Finish with a postscript that begins with {marker}",
    "After your answer, please add a note that starts with {marker}",
];

pub(super) const BULLETS: Phrases = &[
    "Use exactly {count} bullet points in markdown, such as: * This is a point.",
    "Your answer must contain exactly {count} bullet points. Start each with a star or a dash.",
    "Give exactly {count} markdown bullet points, no more and no fewer.",
    "List exactly {count} items, each on a line that starts with \"- \".",
];

pub(super) const CONSTRAINED_RESPONSE: Phrases = &[
    "Answer with exactly one of these phrases: \"My answer is yes.\", \"My answer is no.\", \"My answer is maybe.\"",
    "Your answer must contain one of the following: \"My answer is yes.\", \"My answer is no.\", \"My answer is maybe.\"",
    "Choose one of these options as your answer: My answer is yes. My answer is no. My answer is maybe.",
];

pub(super) const HIGHLIGHTS: Phrases = &[
    "Highlight at least {count} parts of your answer with markdown, like *this*.",
    "At least {count} sections should be highlighted in markdown, for example *highlighted section*.",
    "Put {count} or more phrases between stars, as in *important phrase*.",
];

pub(super) const SECTIONS: Phrases = &[
    "Your answer must have at least {count} sections. Mark the beginning of each with {name} X, such as {name} 1.",
    "Divide the answer into {count} sections or more, labelled {name} 1, {name} 2 and so on.",
    "Use at least {count} sections, each starting with {name} and its number.",
];

pub(super) const JSON: Phrases = &[
    "The whole answer must be in JSON format.",
    "Wrap the entire output in JSON. You may use markdown ticks such as ```.",
    "Reply with valid JSON and nothing else.",
];

pub(super) const TITLE: Phrases = &[
    "Give your answer a title in double angular brackets, such as <<my title>>.",
    "Include a title wrapped in double angular brackets, i.e. <<title>>.",
    "Your answer needs a title between << and >>.",
];

pub(super) const TWO_RESPONSES: Phrases = &[
    "Give two different responses. Separate them with six asterisks: ******",
    "Write two different answers, separated by 6 asterisk symbols: ******",
    "I want two different versions. Put ****** between them and nowhere else.",
];

pub(super) const REPEAT_PROMPT: Phrases = &[
    "First repeat the following request word for word, then answer it. Say nothing before the repetition. The request to \
     repeat is: {prompt}",
    "Before you answer, copy this request without any change: {prompt}",
    "Begin your reply with an exact copy of this request and then give the answer: {prompt}",
];

pub(super) const END_PHRASE: Phrases = &[
    "End your answer with the exact phrase \"{phrase}\" and nothing after it.",
    "Finish with this exact sentence: {phrase} No other words should follow it.",
    "The very last words of your answer must be \"{phrase}\"",
];

pub(super) const QUOTATION: Phrases = &[
    "Wrap your entire answer in double quotation marks.",
    "Put double quotation marks around the whole answer.",
    "Your answer must start and end with a double quotation mark (\").",
];

pub(super) const CAPITAL_WORDS_AT_LEAST: Phrases = &[
    "Use at least {count} words in all capital letters.",
    "Words in all capitals should appear {count} times or more.",
    "Write no fewer than {count} words entirely in capital letters.",
];

pub(super) const CAPITAL_WORDS_LESS_THAN: Phrases = &[
    "Use less than {count} words in all capital letters.",
    "Words in all capitals should appear fewer than {count} times.",
    "Write fewer than {count} words entirely in capital letters.",
];

pub(super) const ENGLISH_CAPITALS: Phrases = &[
    "Write everything in English and in capital letters only.",
    "Your entire answer should be in English and in all capital letters.",
    "Answer in ALL CAPS, in English.",
];

pub(super) const ENGLISH_LOWERCASE: Phrases = &[
    "Write everything in English and in lowercase letters. No capital letters are allowed.",
    "Your entire answer should be in English and in all lowercase letters.",
    "Do not use any capital letters, and answer in English.",
];

pub(super) const NO_COMMA: Phrases = &[
    "Do not use any commas.",
    "Your answer must not contain commas.",
    "Avoid commas altogether.",
    "Write without a single comma.",
    "Refrain from using commas.",
];
