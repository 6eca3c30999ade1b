//! Functions of Sprig and Gomplate that are refused, with the reason.

/// The reason that a function is refused: the rest of a sentence, empty for unknown names.
pub(in super::super) fn why_not(name: &str) -> &'static str {
    let (namespace, member) = name.split_once('.').unwrap_or(("", name));
    match (namespace, member) {
        ("", "now" | "ago") | ("time", "Now" | "Since" | "Until") => ": it depends on the clock",
        ("", "date" | "htmlDate" | "toDate" | "mustToDate")
        | ("time", "ParseLocal" | "ZoneName" | "ZoneOffset") => {
            ": it depends on the time zone of the machine"
        }
        ("", "dateModify" | "date_modify" | "mustDateModify" | "must_date_modify" | "unixEpoch")
        | ("time", _) => ": it takes or gives a moment, which is no value here",
        (
            "",
            "uuidv4"
            | "shuffle"
            | "randAlphaNum"
            | "randAlpha"
            | "randAscii"
            | "randNumeric"
            | "randInt"
            | "randBytes"
            | "genPrivateKey"
            | "genCA"
            | "genCAWithKey"
            | "genSelfSignedCert"
            | "genSelfSignedCertWithKey"
            | "genSignedCert"
            | "genSignedCertWithKey"
            | "bcrypt"
            | "htpasswd"
            | "encryptAES",
        )
        | ("random", _)
        | ("uuid", "V1" | "V4" | "V7")
        | (
            "crypto",
            "Bcrypt" | "RSAGenerateKey" | "ECDSAGenerateKey" | "Ed25519GenerateKey" | "RSAEncrypt"
            | "EncryptAES" | "EncryptAESBytes" | "AESEncrypt",
        ) => ": it gives something else each time",
        ("", "derivePassword" | "decryptAES" | "buildCustomCert") | ("crypto", _) => {
            ": keys and passwords do not belong in stacks"
        }
        (
            "",
            "getHostByName" | "aws" | "gcp" | "ec2meta" | "ec2dynamic" | "ec2tag" | "ec2tags" | "ec2region",
        )
        | ("net", "LookupIP" | "LookupIPs" | "LookupCNAME" | "LookupSRV" | "LookupSRVs" | "LookupTXT")
        | ("aws" | "gcp" | "azure", _) => ": it depends on the network",
        ("sockaddr", _) => ": it depends on the machine",
        (
            "",
            "datasource"
            | "ds"
            | "datasourceExists"
            | "datasourceReachable"
            | "defineDatasource"
            | "include"
            | "listDatasources",
        )
        | ("file", _) => ": it reads files or the network; `!include` reads files of the repository",
        ("env", _) | ("", "hasEnv" | "expandenv") => {
            ": it depends on the environment; `getenv` reads one variable"
        }
        ("", "exec" | "plugin") => ": it runs a program",
        ("", "tpl" | "tmpl") | ("tmpl", _) => ": templates do not fill in templates here",
        ("", "jsonpath") | ("coll", "JSONPath") => ": JSONPath is not read; `jq` reads paths",
        ("", "cue" | "toCUE") | ("data", "CUE" | "ToCUE") => ": CUE is neither read nor written",
        ("", "toTOML") | ("data", "ToTOML") => ": TOML is read, but not written",
        ("", "call") => ": a value is no function here",
        _ => "",
    }
}
