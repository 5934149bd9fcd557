package peer;

import java.time.Instant;
import java.util.Arrays;
import java.util.List;

import org.eclipse.californium.core.coap.Message;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadResponse;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** From what Leshan made of a response to JSON. */
final class Answers {
    private Answers() {
    }

    static void put(ObjectNode out, LwM2mResponse response) {
        if (response == null) {
            out.put("ok", false).put("error", "timeout");
            return;
        }
        out.put("ok", response.isSuccess()).put("code", code(response));
        if (response.getErrorMessage() != null) {
            out.put("message", response.getErrorMessage());
        }
        if (response.getCoapResponse() instanceof Message message) {
            putMessage(out, message);
        }
        if (!response.isSuccess()) {
            return;
        }
        if (response instanceof ReadResponse read) {
            putValues(out, new LwM2mPath(out.get("path").asText()), read);
        } else if (response instanceof DiscoverResponse discover) {
            out.set("links", links(discover.getObjectLinks()));
        } else if (response instanceof CreateResponse create) {
            out.put("location", create.getLocation());
        }
    }

    static String code(LwM2mResponse response) {
        int code = response.getCode().getCode();
        return code / 100 + "." + String.format("%02d", code % 100);
    }

    /** Content format by name and number, the payload as it came, and what a notification says of itself. */
    static void putMessage(ObjectNode out, Message message) {
        if (message.getOptions().hasContentFormat()) {
            int number = message.getOptions().getContentFormat();
            out.put("format", ContentFormat.fromCode(number).getName()).put("contentFormat", number);
        }
        if (message.getOptions().hasObserve()) {
            out.put("observe", message.getOptions().getObserve()).put("con", message.isConfirmable());
        }
        if (message.getPayloadSize() > 0) {
            out.put("raw", Values.HEX.formatHex(message.getPayload()));
        }
    }

    /** Every sample, those with a time stamp with it. */
    static void putValues(ObjectNode out, LwM2mPath path, ReadResponse read) {
        ArrayNode values = out.putArray("values");
        List<TimestampedLwM2mNode> samples = read instanceof ObserveResponse observe
                ? observe.getTimestampedLwM2mNodes()
                : null;
        if (samples != null) {
            samples.forEach(sample -> Values.add(values, sample.getTimestamp(), path, sample.getNode()));
        } else {
            TimestampedLwM2mNode sample = read.getTimestampedLwM2mNode();
            Instant at = sample == null ? null : sample.getTimestamp();
            Values.add(values, at, path, read.getContent());
        }
    }

    static ArrayNode links(Link[] links) {
        ArrayNode list = Lines.JSON.createArrayNode();
        Arrays.stream(links).map(Link::toCoreLinkFormat).forEach(list::add);
        return list;
    }
}
