//! User agents that name themselves as robots.
//!
//! Only what says that no person is behind it: crawlers, monitors, previews, feed readers and headless browsers.
//! HTTP libraries and command-line clients (curl, `okhttp`) are not here: applications and people use them.

/// Lower-case parts of a user agent that make it a robot's.
const PARTS: &[&[u8]] = &[
    b"bot",
    b"crawl",
    b"spider",
    b"slurp",
    b"mediapartners",
    b"adsbot",
    b"facebookexternalhit",
    b"facebookcatalog",
    b"feedfetcher",
    b"feedly",
    b"feedburner",
    b"simplepie",
    b"tiny tiny rss",
    b"bingpreview",
    b"google favicon",
    b"google-read-aloud",
    b"google web preview",
    b"googleother",
    b"storebot",
    b"apis-google",
    b"ia_archiver",
    b"archive.org",
    b"heritrix",
    b"nutch",
    b"yandex.com/",
    b"headlesschrome",
    b"phantomjs",
    b"lighthouse",
    b"pagespeed",
    b"pingdom",
    b"uptime",
    b"statuscake",
    b"site24x7",
    b"newrelicpinger",
    b"datadogsynthetics",
    b"kube-probe",
    b"elb-healthchecker",
    b"googlehc/",
    b"monitis",
    b"nagios",
    b"zabbix",
    b"check_http",
    b"whatsapp/",
    b"skypeuripreview",
    b"embedly",
    b"quora link preview",
    b"vkshare",
    b"w3c_validator",
    b"validator.nu",
    b"w3c-checklink",
    b"scrapy",
    b"masscan",
    b"zgrab",
    b"censysinspect",
    b"expanse",
    b"nmap scripting engine",
    b"nikto",
    b"sqlmap",
    b"wpscan",
];

/// Makers whose name holds a part above but whose agents are people's phones.
const PEOPLE: &[&[u8]] = &[b"cubot"];

/// Whether a user agent names itself as a robot.
pub(super) fn is_bot(user_agent: &[u8]) -> bool {
    let lower = user_agent.to_ascii_lowercase();
    let has = |part: &&[u8]| memchr::memmem::find(&lower, part).is_some();
    let known = PARTS.iter().filter(|part| has(part)).count();
    known > 0 && !(known == 1 && PEOPLE.iter().any(has))
}
