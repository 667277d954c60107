import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Receives webhooks of Billwire: verifies each call, takes each event once, and tells which events come late.
 *
 * <p>{@code java Receiver PORT SECRET[,SECRET...]}; a secret is {@code whsec_...}, or the public key {@code whpk_...} of an ed25519 pair. Needs
 * Java 17, and Jackson to read JSON. Listens on 127.0.0.1 without TLS, because a proxy in front of it has the certificate.
 */
public final class Receiver {
    /** More than any event has, so that a stranger cannot fill the memory. */
    private static final int BODY_MAX = 4 * 1024 * 1024;
    private static final ObjectMapper JSON = new ObjectMapper();

    // [verify]
    /** Whether one of the secrets has signed these bytes, at most five minutes away from now. */
    static boolean verify(List<String> secrets, Headers headers, byte[] body) throws GeneralSecurityException {
        String id = headers.getFirst("webhook-id");
        String timestamp = headers.getFirst("webhook-timestamp");
        String signatures = headers.getFirst("webhook-signature");
        if (id == null || signatures == null || timestamp == null || !timestamp.matches("[0-9]{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 5 * 60) {
            return false;
        }
        byte[] prefix = (id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8);
        // During a rotation a call has several signatures. One that fits is enough.
        for (String signature : signatures.split(" ")) {
            for (String secret : secrets) {
                if (fits(secret, signature, prefix, body)) {
                    return true;
                }
            }
        }
        return false;
    }

    private static boolean fits(String secret, String signature, byte[] prefix, byte[] body) throws GeneralSecurityException {
        Base64.Decoder base64 = Base64.getDecoder();
        if (secret.startsWith("whsec_") && signature.startsWith("v1,")) {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(base64.decode(secret.substring(6)), "HmacSHA256"));
            mac.update(prefix);
            // Unlike Arrays.equals, it takes the same time wherever the first wrong byte is.
            return MessageDigest.isEqual(mac.doFinal(body), base64.decode(signature.substring(3)));
        }
        if (secret.startsWith("whpk_") && signature.startsWith("v1a,")) {
            // Java reads public keys with the head that RFC 8410 gives those of ed25519.
            String der = "302a300506032b6570032100" + HexFormat.of().formatHex(base64.decode(secret.substring(5)));
            Signature verifier = Signature.getInstance("Ed25519");
            verifier.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(HexFormat.of().parseHex(der))));
            verifier.update(prefix);
            verifier.update(body);
            return verifier.verify(base64.decode(signature.substring(4)));
        }
        return false; // a version or a kind of key that this program does not know
    }
    // [/verify]

    // [once]
    private static final Set<String> seen = new HashSet<>(); // In production: a table whose primary key is the id.
    private static final Map<String, String> last = new HashMap<>(); // The highest sequence of each key.

    /** Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence. */
    private static synchronized void take(JsonNode event) {
        String id = event.get("id").asText();
        String key = event.get("partitionkey").asText();
        String sequence = event.get("sequence").asText();
        if (seen.contains(id)) {
            return;
        }
        // Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
        boolean late = sequence.compareTo(last.getOrDefault(key, "")) < 0;
        System.out.println(JSON.createObjectNode().put("id", id).put("type", event.get("type").asText()).put("key", key)
                .put("sequence", sequence).put("late", late));
        seen.add(id);
        if (!late) {
            last.put(key, sequence);
        }
    }
    // [/once]

    private static int answer(List<String> secrets, HttpExchange call) {
        try {
            // The bytes as they came: JSON that was read and written again has other bytes, and the signature does not fit.
            byte[] body = call.getRequestBody().readNBytes(BODY_MAX + 1);
            if (body.length > BODY_MAX) {
                return 413;
            }
            if (!verify(secrets, call.getRequestHeaders(), body)) {
                return 400;
            }
            take(JSON.readTree(body));
            return 204;
        } catch (GeneralSecurityException | IllegalArgumentException malformed) {
            return 400; // a signature that is no base64, or has another length
        } catch (IOException | RuntimeException failure) {
            return 500; // the call comes again
        }
    }

    public static void main(String[] arguments) throws IOException {
        List<String> secrets = List.of(arguments[1].split(","));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", call -> {
            call.sendResponseHeaders(answer(secrets, call), -1);
            call.close();
        });
        server.start();
    }
}
