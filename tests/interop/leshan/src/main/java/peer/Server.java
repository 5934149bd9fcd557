package peer;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;

import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.DownlinkRequest;
import org.eclipse.leshan.core.request.exception.InvalidResponseException;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.californium.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.server.californium.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** An LwM2M server on a free loopback port, driven by JSON lines; see README.md. */
public final class Server {
    /** How long a client may take over an answer, where the command does not say. */
    private static final long ANSWER_MS = 10_000;

    private final LeshanServer server;

    private Server(Path registry, String[] settings) throws Exception {
        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setObjectModelProvider(new VersionedModelProvider(Models.load(registry)));
        // With the numbers that formats had before they were registered (1542 for TLV), which old platforms ask for.
        builder.setDecoder(new DefaultLwM2mDecoder(true));
        builder.setEncoder(new DefaultLwM2mEncoder(true));
        builder.setEndpointsProviders(endpoint(settings));
        server = builder.build();
        server.getRegistrationService().addListener(new Events.Registrations());
        server.getObservationService().addListener(new Events.Notifications());
    }

    private static CaliforniumServerEndpointsProvider endpoint(String[] settings) {
        CaliforniumServerEndpointsProvider.Builder builder = new CaliforniumServerEndpointsProvider.Builder(
                new CoapServerProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        Properties changed = new Properties();
        for (String setting : settings) {
            String[] parts = setting.split("=", 2);
            changed.setProperty(parts[0], parts[1]);
        }
        configuration.add(changed);
        builder.setConfiguration(configuration);
        return builder.addEndpoint(new InetSocketAddress("127.0.0.1", 0), Protocol.COAP).build();
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 0) {
            System.err.println(
                    "usage: leshan-peer REGISTRY [SETTING=VALUE]... (the folder of objects.tsv and resources.tsv)");
            System.exit(2);
        }
        // slf4j-simple writes to stderr; stdout carries JSON lines only.
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        new Server(Path.of(args[0]), Arrays.copyOfRange(args, 1, args.length)).run();
        // Californium and Leshan leave non-daemon threads behind.
        System.exit(0);
    }

    private void run() throws Exception {
        server.start();
        ObjectNode ready = Lines.event("ready");
        server.getEndpoints().forEach(endpoint -> ready.put("coap", endpoint.getURI().toString()));
        Lines.emit(ready);
        Lines.serve(this::handle);
        server.destroy();
    }

    private void handle(String name, JsonNode command, ObjectNode answer) throws Exception {
        String ep = Requests.text(command, "ep");
        Registration registration = server.getRegistrationService().getByEndpoint(ep);
        if (registration == null) {
            throw new IllegalArgumentException("not registered: " + ep);
        }
        if (name.equals("observations")) {
            var paths = answer.putArray("observations");
            for (Observation observation : server.getObservationService().getObservations(registration)) {
                paths.add(((SingleObservation) observation).getPath().toString());
            }
            return;
        }
        String path = Requests.text(command, "path");
        answer.put("path", path);
        if (name.equals("cancel")) {
            cancel(registration, new LwM2mPath(path), command, answer);
        } else {
            LwM2mModel model = server.getModelProvider().getObjectModel(registration);
            ask(registration, Requests.of(name, path, command, model), command, answer);
        }
    }

    private void ask(Registration registration, DownlinkRequest<? extends LwM2mResponse> request, JsonNode command,
            ObjectNode answer) throws InterruptedException {
        AtomicReference<Message> last = new AtomicReference<>();
        try {
            Answers.put(answer, server.send(registration, request, Requests.changes(command, last::set),
                    command.path("timeout").asLong(ANSWER_MS)));
        } catch (InvalidResponseException e) {
            if (last.get() != null) {
                Answers.putMessage(answer, last.get());
            }
            throw e;
        }
    }

    /** Ends the observation of a path: "active" asks the client (GET with observe 1), else we forget it. */
    private void cancel(Registration registration, LwM2mPath path, JsonNode command, ObjectNode answer)
            throws InterruptedException {
        int cancelled = 0;
        for (Observation observation : server.getObservationService().getObservations(registration)) {
            if (observation instanceof SingleObservation single && single.getPath().equals(path)) {
                cancelled++;
                if (command.path("active").asBoolean()) {
                    ask(registration, new CancelObservationRequest(single), command, answer);
                }
                // Needed after an active cancel too: the answer alone leaves the observation in the store.
                server.getObservationService().cancelObservation(observation);
            }
        }
        answer.put("cancelled", cancelled);
    }
}
