package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.github.d365failover.support.Twin;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Tokens that the library gets itself, from a token endpoint that knows one secret. */
class OauthTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    private static final String SECRET = "the-secret's-value";
    private static Twin twin;
    private static HttpServer server;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.start();
        twin.tokens("check");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            Map<String, String> form = formOf(
                    new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            String host = form.get("scope").replace("https://", "").replace("/.default", "");
            boolean isKnown = form.get("client_secret").equals(SECRET);
            byte[] said = (isKnown
                            ? "{\"access_token\":\"twin-token-for-" + host + "\",\"expires_in\":3600}"
                            : "{\"error\":\"invalid_client\"}")
                    .getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(isKnown ? 200 : 401, said.length);
            exchange.getResponseBody().write(said);
            exchange.close();
        });
        server.start();
    }

    @AfterAll
    static void stop() throws Exception {
        server.stop(0);
        twin.close();
    }

    private static Map<String, String> formOf(String body) {
        return Arrays.stream(body.split("&"))
                .map(pair -> pair.split("=", 2))
                .collect(Collectors.toMap(
                        pair -> pair[0], pair -> URLDecoder.decode(pair[1], StandardCharsets.UTF_8)));
    }

    private static FailoverClientBuilder client(String secret) {
        return twin.client()
                .oauthAuthority("http://127.0.0.1:" + server.getAddress().getPort())
                .oauthTenant("tenant.example")
                .oauthClientId("the-application")
                .oauthClientSecret(secret);
    }

    @Test
    void eachEndpointGetsATokenOfItsOwn() throws Exception {
        try (FailoverClient client = client(SECRET).build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
            client.switchEndpoint();
            assertEquals(200, client.send(WHO_AM_I).status());
        }
    }

    @Test
    void aWrongSecretIsToldAndStandsNowhere() throws Exception {
        try (FailoverClient client = client("another-one").build()) {
            FailoverException refused = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertEquals(ErrorKind.AUTHENTICATION, refused.kind());
            assertTrue(refused.getMessage().contains("invalid_client"), refused.getMessage());
            assertFalse(refused.toString().contains("another-one"), refused.toString());
        }
    }

    @Test
    void oneAloneGivesTheTokens() {
        FailoverClientBuilder both = client(SECRET).tokenProvider(request -> Token.of("any"));
        RuntimeException refused = assertThrows(RuntimeException.class, both::build);
        assertTrue(refused.getMessage().contains("only one can give the tokens"), refused.getMessage());
    }
}
