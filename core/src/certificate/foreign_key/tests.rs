//! Keys that OpenSSL made, each in several forms.

use super::*;
use crate::certificate::KeyType;

const RSA_PKCS1: &str = "-----BEGIN RSA PRIVATE KEY-----
MIIEoQIBAAKCAQEAvImEKGv6q9+sRZSHJJE2ah0rXGRaYsEliJ3jTDkSx+jY9PN4
H6T2xiqE5Bdxzn6BjX9HF2lOSVUIpMaHOx8OiVf43UIeLFKEN3RRy/ZSSeO+RfGX
y76dDxXDvoy18MNIAykMyIsWEI4MlQdLVCulFgGchqDtspR/FIpMShpZm/xj1oWQ
W8XzQcYRBjkzZFFQFtQYs9Ts9feZEggOUYaihq/AbF44DF1wbnAz/L5rvpnBgZuL
MTlw2vX62aoCIJRieQkPPi9XklwlgzVgO0WTaxIc1r0tS+16GhIha//9UAKwhe3l
4xhOsKrkpGELvkznRzw6rDmetaEj7g/ZtrWfNQIDAQABAoH/OVfMPsVhka3GbHxg
7ocT9rnjdk+H7OXC+CnCIGzNCEa/1Dkz8JQi3sODV24QTVmCF9yZT1NduHenATWc
+uXlsyGCEkIs/0QFnWTDkDt0IRkyrOYoi1weBIeaH7TysH766pvI3ibs+IBuB/TL
mih++XjFQOIBxCHKmRpeD7NTW7Qx+ScIkxtMTupGwPS6BwrHKIPCJ3MKIQdWyefI
NLXs5nWCEa5HcobkKWQJBN1yRnXAnfnFa+RsGwtc/2DuHx4lP9Gl/Lpu5rQBctFN
FUuvTcod3oHUg35xM2O6EmIGWa3eXf5dul1a9eglFbXfMW2p0x84YXSjgAq0P9Rw
Vo3NAoGBAPSjzF8LGNSviyyPHkrQJkFEDvtcALmVKuPml/ueQAArONFHvtwgdCnP
iSYFSqHOcUFf28m7i8uJb5WX2FyKaeG+VXl52pkBSdPAISFvp9XXInDkc7yQls8N
ORx4UwnviSCuIxaHqZ59EgTjU1zI0DmQA/TTi4K3/k9Ta/pNVDsXAoGBAMVKyXsP
fYJ8QTjYhmhoUScti38yl7z74JJxKVhpENLTqENXgtDUsjQL5GidRJ2jnvcUI05e
ewlxcv8ROJS6Tbn+ktmDySTesXkrMeKs5tX5VMrJv7H4CGvHti/q3phjUVLVWBjM
XJ8Ub4awDvyCEgF3AcdzDJ6NvV04YH+DIHeTAoGBAOSPCAigCIHkw+VMjSOeVq9R
U6H5cd/xAlJMBSCa1/aQaxPzsNheJclOUTdJaFHF20AVu/U8mD3/2FVtuUG0O3oh
5h+I/fdHId+IuCtR8v8xcMcCWTMJ7yvgkcQMkqBMv9PdfYC2HH2rIiOY8zBTmV6+
M0QQRF5LYnhgWxhOGOzfAoGAY38a6yfduR+m2N9BsYfiXWq3rhc6tQEluVS+cCrU
ZC5/7i5E98I8eMkCkMu3XfS1Z4/NWmmFjTacswvhSAhIyKMdNfsjRqfUQvJIvzNJ
WuHaJEbomP0oagqW08WUKq/zxF15h1AQ6d0pfXhupmOGZxy4VfishY2f0VJsQAJG
LmcCgYBvrr1cOIOj8UdhHSrDaDcNBk2fQ4f28czvbTzCgCwwLdocx+THlcZNREP/
vrNLRb/MmSPXoojn5ldFPWufdDWzWD1OLK7pQJWzWWqtstCurUQHzD3q7ZsMcM8Z
ARn1dCZCEsqkYZbMXyQj7MGYChQeeMW86wyu9M2H+SbLvdBQbQ==
-----END RSA PRIVATE KEY-----
";

const RSA_PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MIIEuwIBADANBgkqhkiG9w0BAQEFAASCBKUwggShAgEAAoIBAQC8iYQoa/qr36xF
lIckkTZqHStcZFpiwSWIneNMORLH6Nj083gfpPbGKoTkF3HOfoGNf0cXaU5JVQik
xoc7Hw6JV/jdQh4sUoQ3dFHL9lJJ475F8ZfLvp0PFcO+jLXww0gDKQzIixYQjgyV
B0tUK6UWAZyGoO2ylH8UikxKGlmb/GPWhZBbxfNBxhEGOTNkUVAW1Biz1Oz195kS
CA5RhqKGr8BsXjgMXXBucDP8vmu+mcGBm4sxOXDa9frZqgIglGJ5CQ8+L1eSXCWD
NWA7RZNrEhzWvS1L7XoaEiFr//1QArCF7eXjGE6wquSkYQu+TOdHPDqsOZ61oSPu
D9m2tZ81AgMBAAECgf85V8w+xWGRrcZsfGDuhxP2ueN2T4fs5cL4KcIgbM0IRr/U
OTPwlCLew4NXbhBNWYIX3JlPU124d6cBNZz65eWzIYISQiz/RAWdZMOQO3QhGTKs
5iiLXB4Eh5oftPKwfvrqm8jeJuz4gG4H9MuaKH75eMVA4gHEIcqZGl4Ps1NbtDH5
JwiTG0xO6kbA9LoHCscog8IncwohB1bJ58g0tezmdYIRrkdyhuQpZAkE3XJGdcCd
+cVr5GwbC1z/YO4fHiU/0aX8um7mtAFy0U0VS69Nyh3egdSDfnEzY7oSYgZZrd5d
/l26XVr16CUVtd8xbanTHzhhdKOACrQ/1HBWjc0CgYEA9KPMXwsY1K+LLI8eStAm
QUQO+1wAuZUq4+aX+55AACs40Ue+3CB0Kc+JJgVKoc5xQV/bybuLy4lvlZfYXIpp
4b5VeXnamQFJ08AhIW+n1dcicORzvJCWzw05HHhTCe+JIK4jFoepnn0SBONTXMjQ
OZAD9NOLgrf+T1Nr+k1UOxcCgYEAxUrJew99gnxBONiGaGhRJy2LfzKXvPvgknEp
WGkQ0tOoQ1eC0NSyNAvkaJ1EnaOe9xQjTl57CXFy/xE4lLpNuf6S2YPJJN6xeSsx
4qzm1flUysm/sfgIa8e2L+remGNRUtVYGMxcnxRvhrAO/IISAXcBx3MMno29XThg
f4Mgd5MCgYEA5I8ICKAIgeTD5UyNI55Wr1FToflx3/ECUkwFIJrX9pBrE/Ow2F4l
yU5RN0loUcXbQBW79TyYPf/YVW25QbQ7eiHmH4j990ch34i4K1Hy/zFwxwJZMwnv
K+CRxAySoEy/0919gLYcfasiI5jzMFOZXr4zRBBEXktieGBbGE4Y7N8CgYBjfxrr
J925H6bY30Gxh+JdareuFzq1ASW5VL5wKtRkLn/uLkT3wjx4yQKQy7dd9LVnj81a
aYWNNpyzC+FICEjIox01+yNGp9RC8ki/M0la4dokRuiY/ShqCpbTxZQqr/PEXXmH
UBDp3Sl9eG6mY4ZnHLhV+KyFjZ/RUmxAAkYuZwKBgG+uvVw4g6PxR2EdKsNoNw0G
TZ9Dh/bxzO9tPMKALDAt2hzH5MeVxk1EQ/++s0tFv8yZI9eiiOfmV0U9a590NbNY
PU4srulAlbNZaq2y0K6tRAfMPertmwxwzxkBGfV0JkISyqRhlsxfJCPswZgKFB54
xbzrDK70zYf5Jsu90FBt
-----END PRIVATE KEY-----
";

const RSA_JWK: &str = r#"{"kty": "RSA", "n": "vImEKGv6q9-sRZSHJJE2ah0rXGRaYsEliJ3jTDkSx-jY9PN4H6T2xiqE5Bdxzn6BjX9HF2lOSVUIpMaHOx8OiVf43UIeLFKEN3RRy_ZSSeO-RfGXy76dDxXDvoy18MNIAykMyIsWEI4MlQdLVCulFgGchqDtspR_FIpMShpZm_xj1oWQW8XzQcYRBjkzZFFQFtQYs9Ts9feZEggOUYaihq_AbF44DF1wbnAz_L5rvpnBgZuLMTlw2vX62aoCIJRieQkPPi9XklwlgzVgO0WTaxIc1r0tS-16GhIha__9UAKwhe3l4xhOsKrkpGELvkznRzw6rDmetaEj7g_ZtrWfNQ", "e": "AQAB", "d": "OVfMPsVhka3GbHxg7ocT9rnjdk-H7OXC-CnCIGzNCEa_1Dkz8JQi3sODV24QTVmCF9yZT1NduHenATWc-uXlsyGCEkIs_0QFnWTDkDt0IRkyrOYoi1weBIeaH7TysH766pvI3ibs-IBuB_TLmih--XjFQOIBxCHKmRpeD7NTW7Qx-ScIkxtMTupGwPS6BwrHKIPCJ3MKIQdWyefINLXs5nWCEa5HcobkKWQJBN1yRnXAnfnFa-RsGwtc_2DuHx4lP9Gl_Lpu5rQBctFNFUuvTcod3oHUg35xM2O6EmIGWa3eXf5dul1a9eglFbXfMW2p0x84YXSjgAq0P9RwVo3N", "p": "9KPMXwsY1K-LLI8eStAmQUQO-1wAuZUq4-aX-55AACs40Ue-3CB0Kc-JJgVKoc5xQV_bybuLy4lvlZfYXIpp4b5VeXnamQFJ08AhIW-n1dcicORzvJCWzw05HHhTCe-JIK4jFoepnn0SBONTXMjQOZAD9NOLgrf-T1Nr-k1UOxc", "q": "xUrJew99gnxBONiGaGhRJy2LfzKXvPvgknEpWGkQ0tOoQ1eC0NSyNAvkaJ1EnaOe9xQjTl57CXFy_xE4lLpNuf6S2YPJJN6xeSsx4qzm1flUysm_sfgIa8e2L-remGNRUtVYGMxcnxRvhrAO_IISAXcBx3MMno29XThgf4Mgd5M", "dp": "5I8ICKAIgeTD5UyNI55Wr1FToflx3_ECUkwFIJrX9pBrE_Ow2F4lyU5RN0loUcXbQBW79TyYPf_YVW25QbQ7eiHmH4j990ch34i4K1Hy_zFwxwJZMwnvK-CRxAySoEy_0919gLYcfasiI5jzMFOZXr4zRBBEXktieGBbGE4Y7N8", "dq": "Y38a6yfduR-m2N9BsYfiXWq3rhc6tQEluVS-cCrUZC5_7i5E98I8eMkCkMu3XfS1Z4_NWmmFjTacswvhSAhIyKMdNfsjRqfUQvJIvzNJWuHaJEbomP0oagqW08WUKq_zxF15h1AQ6d0pfXhupmOGZxy4VfishY2f0VJsQAJGLmc", "qi": "b669XDiDo_FHYR0qw2g3DQZNn0OH9vHM7208woAsMC3aHMfkx5XGTURD_76zS0W_zJkj16KI5-ZXRT1rn3Q1s1g9Tiyu6UCVs1lqrbLQrq1EB8w96u2bDHDPGQEZ9XQmQhLKpGGWzF8kI-zBmAoUHnjFvOsMrvTNh_kmy73QUG0"}"#;

const EC_SEC1: &str = "-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIG5LYPo45yf9UuzH/gZehEfC7D3KVnSd1rRbLbF0QHbcoAoGCCqGSM49
AwEHoUQDQgAEhklO5NFsbUYfdFTzCs0KAxuvvqrvA1ha19aQxRrGcyV9yq3g/5A0
WK7AErxNVubu20fCFxWSCmdWH7bYWm+HtQ==
-----END EC PRIVATE KEY-----
";

const EC_PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbktg+jjnJ/1S7Mf+
Bl6ER8LsPcpWdJ3WtFstsXRAdtyhRANCAASGSU7k0WxtRh90VPMKzQoDG6++qu8D
WFrX1pDFGsZzJX3KreD/kDRYrsASvE1W5u7bR8IXFZIKZ1Yftthab4e1
-----END PRIVATE KEY-----
";

fn pkcs8(pem: &str) -> Vec<u8> {
    let block = Pem::iter_from_buffer(pem.as_bytes()).next();
    block.unwrap().unwrap().contents
}

#[test]
fn a_key_is_the_same_in_every_form() {
    for form in [RSA_PKCS1, RSA_PKCS8] {
        let key = ForeignKey::from_pem(form).unwrap();
        assert_eq!(key.pkcs8(), pkcs8(RSA_PKCS8), "{form}");
    }
    let key = ForeignKey::from_jwk(RSA_JWK).unwrap();
    assert_eq!(key.pkcs8(), pkcs8(RSA_PKCS8));
    // OpenSSL and AWS-LC may write the public point in another place.
    let public = |form| {
        let key = ForeignKey::from_pem(form).unwrap();
        key.to_certificate_key().unwrap().public()
    };
    assert_eq!(public(EC_SEC1), public(EC_PKCS8));
    let is_on_p256 = |form| ForeignKey::from_pem(form).unwrap().is_on_p256();
    assert!(is_on_p256(EC_SEC1) && !is_on_p256(RSA_PKCS1));
}

#[test]
fn a_key_is_written_in_a_form_that_is_read_again() {
    for form in [RSA_PKCS1, EC_SEC1] {
        let pem = ForeignKey::from_pem(form).unwrap().to_pem().unwrap();
        assert!(pem.expose_secret().contains("BEGIN PRIVATE KEY"));
        CertificateKey::from_secret(&pem).unwrap();
    }
}

#[tokio::test]
async fn keys_of_every_type_are_read() {
    for (name, kind) in KeyType::ALL {
        let key = CertificateKey::generate(kind).await.unwrap();
        let foreign = ForeignKey::from_pem(key.to_pem().expose_secret()).unwrap();
        let public = foreign.to_certificate_key().unwrap().public();
        assert_eq!(public, key.public(), "{name}");
    }
}

#[test]
fn what_is_no_key_is_refused_without_quoting_it() {
    let encrypted = RSA_PKCS1.replace(
        "KEY-----\nM",
        "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nM",
    );
    let truncated = RSA_PKCS1.replace("MII", "AII");
    for (text, expected) in [
        ("", ForeignKeyError::None),
        ("canary", ForeignKeyError::None),
        (&*truncated, ForeignKeyError::Unsupported),
        (&*encrypted, ForeignKeyError::Encrypted),
    ] {
        let error = ForeignKey::from_pem(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
    }
    let other = RSA_JWK.replace("RSA", "EC");
    let odd = RSA_JWK.replace("\"d\": \"", "\"d\": \"!");
    for text in ["", "{}", "[]", &other, &odd] {
        let error = ForeignKey::from_jwk(text).unwrap_err();
        assert_eq!(error, ForeignKeyError::Unsupported, "{text}");
    }
}
