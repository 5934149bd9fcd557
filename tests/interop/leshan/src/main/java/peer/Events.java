package peer;

import java.util.Collection;

import org.eclipse.californium.core.coap.Message;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** What clients do by themselves, told as events. */
final class Events {
    private Events() {
    }

    static final class Registrations implements RegistrationListener {
        @Override
        public void registered(Registration registration, Registration previous, Collection<Observation> observations) {
            Lines.emit(Lines.event("registered").put("again", previous != null)
                    .put("droppedObservations", observations == null ? 0 : observations.size())
                    .setAll(describe(registration)));
        }

        @Override
        public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
            Lines.emit(Lines.event("updated").put("newLinks", update.getObjectLinks() != null)
                    .put("newLifetime", update.getLifeTimeInSec() != null)
                    .put("newAddress", !updated.getSocketAddress().equals(previous.getSocketAddress()))
                    .setAll(describe(updated)));
        }

        @Override
        public void unregistered(Registration registration, Collection<Observation> observations, boolean expired,
                Registration next) {
            Lines.emit(Lines.event("deregistered").put("ep", registration.getEndpoint())
                    .put("reg", registration.getId()).put("expired", expired).put("replaced", next != null));
        }

        private static ObjectNode describe(Registration registration) {
            ObjectNode out = Lines.object().put("ep", registration.getEndpoint()).put("reg", registration.getId())
                    .put("lifetime", registration.getLifeTimeInSec())
                    .put("binding", BindingMode.toString(registration.getBindingMode()))
                    .put("queue", registration.usesQueueMode())
                    .put("lwm2m", registration.getLwM2mVersion().toString()).put("port", registration.getPort());
            out.set("links", Answers.links(registration.getObjectLinks()));
            ArrayNode formats = out.putArray("formats");
            registration.getSupportedContentFormats().forEach(format -> formats.add(format.getName()));
            return out;
        }
    }

    static final class Notifications implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {
            Lines.emit(event("observing", observation, registration));
        }

        @Override
        public void cancelled(Observation observation) {
            Lines.emit(event("observation-ended", observation, null));
        }

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            ObjectNode out = event("notification", observation, registration).put("code", Answers.code(response));
            if (response.getCoapResponse() instanceof Message message) {
                Answers.putMessage(out, message);
            }
            if (response.isSuccess()) {
                Answers.putValues(out, observation.getPath(), response);
            }
            Lines.emit(out);
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration registration,
                ObserveCompositeResponse response) {
            throw new IllegalStateException("no command starts a composite observation");
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
            Lines.emit(event("notification-error", observation, registration).put("error", Lines.reason(error)));
        }

        private static ObjectNode event(String name, Observation observation, Registration registration) {
            ObjectNode out = Lines.event(name);
            if (registration != null) {
                out.put("ep", registration.getEndpoint());
            }
            return observation instanceof SingleObservation single ? out.put("path", single.getPath().toString()) : out;
        }
    }
}
